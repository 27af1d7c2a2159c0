"""The test recipe runs once in a session; the tests of the pipeline and of the cluster look at its results.

`make test` spreads the files of tests over processes (pytest-xdist): one of them makes that run, which does not keep
two cores busy, while the others do what does not need it.
"""

import json
import os
from pathlib import Path

import hypothesis
import pytest

from tests.helpers import seed
from tests.helpers.once import once
from tests.pipeline.conftest import SECRETS, kill_in_the_middle, snakemake

WORKER = "PYTEST_XDIST_WORKER"  # set in each process of several
# Files that take minutes. The first makes the test recipe's run; when Slurm's turn comes, it is there.
LONGEST = (
    "pipeline/test_rl_stage.py",
    "pipeline/test_real_tokenizer.py",
    "pipeline/test_opd.py",
    "parity/test_megatron.py",
    "cluster/test_slurm.py",
    "pipeline/test_generate.py",
    "pipeline/test_your_own.py",
    "pipeline/test_rerun.py",
    "pipeline/test_mixture_rl.py",
    "pipeline/test_audit.py",
)

# A first call imports or compiles; how long a call takes is no property of the code.
hypothesis.settings.register_profile("polaris", deadline=None)
hypothesis.settings.load_profile("polaris")


def pytest_report_header() -> str:
    """The seed of the random kills, at the head of a run."""
    return seed.SENTENCE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Over several processes: LONGEST as they stand there, the other tests of engines, then the many that need none,
    which keep every process busy to the end. One process keeps the order that it finds.
    """
    if WORKER in os.environ:
        items.sort(key=place)


def place(item: pytest.Item) -> int:
    file = f"{item.path.parent.name}/{item.path.name}"
    if file in LONGEST:
        return LONGEST.index(file)
    return len(LONGEST) + (Path(__file__).parent / "unit" in item.path.parents or item.path.parent.name == "house")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """The seed again where a test failed."""
    if exitstatus:
        terminalreporter.write_line(seed.SENTENCE)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder in which configs/test.yaml has run to its report, with a kill -9 at a random step of the CORE stage.

    One for all processes of a session, and none of them changes it: the first makes it, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    folder = once((base.parent if WORKER in os.environ else base) / "finished", run_with_a_kill)
    return folder / "runs" / "test"


def run_with_a_kill(folder: Path) -> None:
    rng = seed.generator("finished")
    step = rng.randrange(2, 6)  # of 7; the first has a checkpoint by then
    (folder / "kill.json").write_text(json.dumps(step))
    kill_in_the_middle(folder, folder / "killed.log", step, rng.uniform(0, 2))
    done = snakemake(folder, env={**os.environ, **SECRETS})
    (folder / "continued.log").write_text(done.stdout)
    assert done.returncode == 0, f"after a kill in the step that follows {step}: {done.stdout[-8000:]}"
