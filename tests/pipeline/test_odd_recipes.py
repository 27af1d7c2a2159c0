"""Recipes and paths as people have them: braces, blanks, quotes, dots. Nothing of them reaches a shell unquoted."""

import os
import shlex
import shutil
import subprocess

import pytest
import yaml

from polaris.commands.state.snakemake_jobs import COMMAND, parsed
from polaris.recipe.layers import read_layer
from polaris.stage.code import PACKAGES

from .conftest import ROOT, command, snakemake

BOXED = " Answer in \\boxed{answer}, as {w.name} or {0} says."


def instructed(values):
    """The part of a recipe that holds instructions, each of them BOXED; None where there is none."""
    if not isinstance(values, dict):
        return None
    found = {key: BOXED if key == "instruction" else instructed(value) for key, value in values.items()}
    return {key: value for key, value in found.items() if value} or None


def asked(values) -> list[str]:
    """Every instruction in the settings of a verb."""
    if not isinstance(values, dict):
        return []
    here = [values["instruction"]] if isinstance(values.get("instruction"), str) else []
    return here + [text for value in values.values() for text in asked(value)]


@pytest.mark.parametrize("name", ["polaris_v2", "polaris_v1_4b", "laptop_sparse"])
def test_an_instruction_may_hold_braces(tmp_path, name):
    config = ROOT / f"configs/{name}.yaml"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(instructed(read_layer(config).values)))
    done = snakemake(tmp_path, "-n", "-p", configs=[str(config), str(tmp_path / "mine.yaml")])
    assert done.returncode == 0, done.stdout[-2000:]
    jobs = [parsed(line) for line in done.stdout.splitlines() if line.startswith(COMMAND) and " --out " in line]
    assert {text for job in jobs for text in asked(job.settings)} == {BOXED}


ODD = "my {dir} $(touch ran); & 'q' \""  # what a shell would take apart


def test_paths_reach_the_shell_in_quotes(tmp_path):
    """The clone's, the overlay's, an environment's and the problem file's; an overlay's name once ran as a command."""
    clone = tmp_path / ODD
    clone.mkdir()
    for name in (*PACKAGES, "configs", "profiles", "rules"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", clone)
    (clone / "$(touch ran); it's.jsonl").touch()
    source = {"file": "$(touch ran); it's.jsonl", "gold": "every", "count": 2, "date": None, "max_rows": None}
    overlay = {
        "interpreters": {"vllm": shlex.join([str(clone / ".venv/bin/python")])},
        "inputs": {"benchmarks": {"my.bench": source}},
        "evaluate": {"generate": {"k": {"my.bench": 4}}},
    }
    (clone / f"{ODD}.yaml").write_text(yaml.safe_dump(overlay))
    configs = ["configs/laptop.yaml", f"{ODD}.yaml"]
    start = command("-n", "-p", configs=configs)
    start[start.index("--snakefile") + 1] = str(clone / "Snakefile")
    environment = {**os.environ, "PYTHONPATH": str(clone)}
    done = subprocess.run(start, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    lines = [line.removeprefix(COMMAND) for line in done.stdout.splitlines() if line.startswith(COMMAND)]
    (preflight,) = (shlex.split(line) for line in lines if " preflight " in line)
    place = preflight.index("--configfile")
    assert preflight[place + 1 : place + 3] == [str(clone / name) for name in configs]
    jobs = {str(job.out): job for job in (parsed(line) for line in lines if " --out " in line)}
    assert jobs["runs/laptop/benchmarks/my.bench/data.json"].settings["file"] == source["file"]
    assert shlex.split(jobs["runs/laptop/responses/core/data.json"].python) == [str(clone / ".venv/bin/python")]
    assert not list(clone.rglob("ran")) and not (tmp_path / "ran").exists()
