"""ruff's defaults, and lines of at most 120 columns (pyproject.toml), over the whole repository."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("asked", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff_has_nothing_to_say(asked):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *asked, "--no-cache", "."],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
