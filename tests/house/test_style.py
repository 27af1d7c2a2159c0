"""ruff's defaults, and lines of at most 120 columns (pyproject.toml), over the whole repository; the same for rules."""

import re
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


RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_lines_and_params_of_rules(path):
    """ruff does not read them. A param is a function: in a plain text Snakemake takes an instruction's braces apart."""
    text = path.read_text()
    assert [line for line in text.splitlines() if len(line) > 120] == []
    params = re.findall(r"params:\n((?: {8,}.*\n)+)", text)
    values = re.findall(r"^ +\w+=(.*)", "".join(params), re.MULTILINE)
    assert [value for value in values if not re.match(r"lambda w: |\w+,$", value)] == []
