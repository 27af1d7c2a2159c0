"""Random kills can be repeated: their seed is printed, and is taken from the environment."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.stage.code import ROOT

SAID, NUMBER = r"POLARIS_SEED=(\S+) draws the same random kills again", r"assert not (0\.\d+)"
FAILS = "from tests.helpers.seed import generator\ndef test_x():\n    assert not generator('x').random()\n"


def run(folder: Path, seed: str, *options: str) -> str:
    """What pytest says of a failing test that draws a number."""
    (folder / "test_x.py").write_text(FAILS)
    command = [sys.executable, "-m", "pytest", *options, "-p", "tests.conftest", "--rootdir", str(folder), "test_x.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POLARIS_SEED": seed}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_failure_tells_the_seed_that_repeats_it(tmp_path):
    drawn, again = run(tmp_path, ""), run(tmp_path, "")
    (first, _), (other, _) = (re.findall(SAID, text) for text in (drawn, again))
    assert first != other, "at the head and at the end; another in each run"
    repeated = run(tmp_path, first, "-q")
    assert re.findall(SAID, repeated) == [first]
    numbers = [re.search(NUMBER, text)[1] for text in (drawn, again, repeated)]
    assert numbers[0] == numbers[2] != numbers[1]
