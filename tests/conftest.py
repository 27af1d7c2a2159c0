"""The test recipe runs once in a session; the tests of the pipeline and of the cluster look at its results."""

import os
from pathlib import Path

import hypothesis
import pytest

from tests.pipeline.conftest import SECRETS, kill_in_the_middle, snakemake

# A first call imports or compiles; how long a call takes is no property of the code.
hypothesis.settings.register_profile("polaris", deadline=None)
hypothesis.settings.load_profile("polaris")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder in which configs/test.yaml has run to its report, with one kill -9 in the CORE stage."""
    folder = tmp_path_factory.mktemp("finished")
    kill_in_the_middle(folder, folder / "killed.log")
    done = snakemake(folder, env={**os.environ, **SECRETS})
    (folder / "continued.log").write_text(done.stdout)
    assert done.returncode == 0, done.stdout[-8000:]
    return folder / "runs" / "test"
