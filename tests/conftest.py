"""The test recipe runs once in a session; the tests of the pipeline and of the cluster look at its results."""

import json
import os
from pathlib import Path

import hypothesis
import pytest

from tests.helpers import seed
from tests.pipeline.conftest import SECRETS, kill_in_the_middle, snakemake

# A first call imports or compiles; how long a call takes is no property of the code.
hypothesis.settings.register_profile("polaris", deadline=None)
hypothesis.settings.load_profile("polaris")


def pytest_report_header() -> str:
    """The seed of the random kills, at the head of a run."""
    return seed.SENTENCE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """The seed again where a test failed."""
    if exitstatus:
        terminalreporter.write_line(seed.SENTENCE)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder in which configs/test.yaml has run to its report, with two kills -9 at random steps of the CORE
    stage.
    """
    folder = tmp_path_factory.mktemp("finished")
    rng = seed.generator("finished")
    kills = sorted(rng.sample(range(2, 6), 2))  # of 7 steps; the first has a checkpoint by then
    (folder / "kills.json").write_text(json.dumps(kills))
    for number, step in enumerate(kills):
        kill_in_the_middle(folder, folder / f"killed_{number}.log", step, rng.uniform(0, 2))
    done = snakemake(folder, env={**os.environ, **SECRETS})
    (folder / "continued.log").write_text(done.stdout)
    assert done.returncode == 0, f"after kills in the steps that follow {kills}: {done.stdout[-8000:]}"
    return folder / "runs" / "test"
