"""Recipes, names and paths as people have them: braces, blanks, quotes, dots. Nothing of them reaches a shell unquoted."""

import json

import pytest
import yaml

from polaris.commands.snakemake_jobs import COMMAND, parsed
from polaris.recipe.recipe_files import read_file

from .conftest import ROOT, snakemake

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
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(instructed(read_file(config))))
    done = snakemake(tmp_path, "-n", "-p", configs=[str(config), str(tmp_path / "mine.yaml")])
    assert done.returncode == 0, done.stdout[-2000:]
    jobs = [parsed(line) for line in done.stdout.splitlines() if line.startswith(COMMAND) and " --out " in line]
    assert {text for job in jobs for text in asked(job.settings)} == {BOXED}
