"""One run with its report, for all tests that only look at it."""

import json

import pytest

from tests.helpers.report_run import Run
from tests.helpers.reports import make, whole_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with its report, only to be looked at."""
    run = whole_run(tmp_path_factory.mktemp("runs") / "small <&>")
    make(run)
    return run


@pytest.fixture(scope="module")
def found(run: Run) -> dict:
    """Its results.json."""
    return json.loads((run.folder / "report" / "results.json").read_text())
