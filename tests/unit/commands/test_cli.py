"""The command line as people type it: help, wrong words, several values of an option, runs from other directories."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polaris.commands import cli, runs
from polaris.commands.typed import spread
from polaris.recipe import printed, recipe
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from tests.helpers.reports import make, whole_run

ALONE = {"evaluate", "generate", "merge", "grade", "probe"}
A_RUN = {"show", "status", "compare", "regrade", "publish", "verify", "judge", "rollouts", "replay", "court"}
COMMANDS = ALONE | A_RUN | {"init", "recipe", "pin", "plan", "profile", "preflight", "study"}


def polaris(*words, cwd=None, **environment):
    """A process: its exit status, and what it says."""
    where = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment}
    start = [sys.executable, "-m", "polaris.commands.cli", *map(str, words)]
    return subprocess.run(start, capture_output=True, text=True, check=False, cwd=cwd, env=where)


def test_the_help_has_a_line_for_each_command_and_is_quick():
    started = time.process_time(), os.times().children_user
    done = polaris("--help")
    used = os.times().children_user - started[1]
    lines = [line.strip("│ ").split("  ")[0] for line in done.stdout.splitlines() if line.startswith("│ ")]
    assert COMMANDS <= set(lines) and done.returncode == 0
    assert "\x1b" not in done.stdout  # colour is for terminals
    assert used < 1.0  # seconds of processor time, whatever else runs here


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_it_takes(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["polaris", name, "--help"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0 and f"Usage: polaris {name}" in capsys.readouterr().out


@pytest.mark.slow
def test_wrong_words():
    done = polaris("status", "--configfle", "x")
    assert done.returncode == 2 and "No such option: --configfle" in done.stderr
    assert "Traceback" not in done.stderr
    assert polaris("stauts").returncode == 2


def test_an_option_of_several_values():
    several = {"--configfile", "--runs"}
    words = ["core", "grpo", "--configfile", "a.yaml", "b.yaml", "--runs", "x", "y", "--json"]
    assert spread(words, several) == [
        "core", "grpo", "--configfile", "a.yaml", "--configfile", "b.yaml", "--runs", "x", "--runs", "y", "--json"
    ]  # fmt: skip
    assert spread([], several) == []  # `polaris show` alone
    assert spread(["--configfile"], several) == ["--configfile"]  # so that its value is missed
    assert spread(["--configfile=a", "b"], several) == ["--configfile=a", "b"]


@pytest.mark.slow
def test_two_files_and_a_value_of_each(tmp_path):
    (tmp_path / "over.yaml").write_text("run: mine")
    done = polaris("plan", "--configfile", ROOT / "configs/polaris_v2.yaml", tmp_path / "over.yaml", "--json")
    planned = json.loads(done.stdout)
    assert done.returncode == 0 and {"base_small", "distilled"} <= {one["name"] for one in planned}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run, with the recipe that it keeps."""
    monkeypatch.chdir(tmp_path)
    made = whole_run(tmp_path / "runs/laptop")
    make(made)
    files = [ROOT / "configs/laptop.yaml"]
    printed.keep(recipe.loaded(files), files)
    return made


def test_a_run_by_its_name_or_folder_from_anywhere(run, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # its name is looked for upwards
    assert runs.found("laptop").samefile(run.folder)
    here = runs.place(str(run.folder), [])
    assert here.root == tmp_path and here.recipe() == recipe.load([ROOT / "configs/laptop.yaml"])
    with pytest.raises(UserError, match="--run nobody: there is no such run; in .*runs: laptop"):
        runs.found("nobody")
    with pytest.raises(UserError, match="give one of them"):
        runs.place("laptop", ["a.yaml"])


@pytest.mark.slow
def test_the_tables_of_a_run_elsewhere(run, tmp_path):
    shown = polaris("show", "--run", run.folder, cwd="/")
    assert shown.returncode == 0 and "core against grpo" in shown.stdout
    report = json.loads(polaris("show", "--run", run.folder, "--json", cwd="/").stdout)
    assert report["run"] == "laptop" and report["models"]
    compared = json.loads(polaris("compare", "core", "grpo", "--run", run.folder, "--json", cwd="/").stdout)
    assert {row["a"] for row in compared["pairs"]} == {"core"}


def test_a_kept_recipe_is_the_one_that_ran(tmp_path, monkeypatch):
    """With the seeds of a replicate, which are not moved twice."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text("extends: [laptop]\nrun: two\nreplicate: 2\n")
    loaded = recipe.loaded(["two.yaml"])
    printed.keep(loaded, ["two.yaml"])
    assert recipe.load([Path("runs/two/recipe.yaml")]) == loaded.recipe
