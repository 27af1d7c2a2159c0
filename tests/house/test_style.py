"""ruff's defaults and 120 columns over the whole repository, rules too; small files and functions; tests stay apart."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.stage import code

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted(path for package in code.PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 300, 50


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def long_functions(text: str) -> list[str]:
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    return [node.name for node in functions if node.end_lineno - node.lineno >= FUNCTION_LINES]


def imported_tests(text: str) -> list[str]:
    """Test files that a file imports, also in the text of a program that it starts."""
    return re.findall(r"^\s*(?:from|import) .*?\b(test_\w+)", text, re.MULTILINE)


@pytest.mark.parametrize("path", [*PRODUCT, *TESTS], ids=name_of)
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_functions_stay_small(path):
    assert long_functions(path.read_text()) == []


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_no_test_file_is_imported(path):
    assert imported_tests(path.read_text()) == []


def test_the_rules_can_be_broken():
    body = "\n".join(["    pass"] * FUNCTION_LINES)
    assert long_functions(f"def f():\n{body}") == ["f"] and long_functions(f"def f():\n{body[9:]}") == []
    assert imported_tests("from tests.unit.stage.test_stage import stage") == ["test_stage"]
    assert imported_tests("import sys\nfrom . import test_a\nimport tests.unit.test_b") == ["test_a", "test_b"]


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
