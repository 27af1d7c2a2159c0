"""Each program of benchmarks/ still fits the code that it measures."""

import importlib
from pathlib import Path

import pytest

PROGRAMS = sorted(path.stem for path in (Path(__file__).parents[3] / "benchmarks").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_imported_with_the_settings_that_it_makes(name):
    assert importlib.import_module(f"benchmarks.{name}").__doc__


@pytest.mark.slow
def test_the_report_is_made_as_it_is_now(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["report.py", "--problems", "12", "--samples", "8"])
    importlib.import_module("benchmarks.report").main()
    assert "of CPU time" in capsys.readouterr().out
