"""Real problems go through the same door: GSM8K and AIME24 to a table (a tiny model's honest score is about 0)."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from polaris.recipe import recipe
from polaris.stage import manifest
from polaris.stage.records import GRADED, read_problems, read_rows
from tests.helpers.stages import python

from .conftest import CONFIGS

DATA = os.environ.get("POLARIS_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="POLARIS_DATA names no folder with real problem files")
RECIPE = recipe.load(CONFIGS)
PROBLEMS = 12


def verb(module: str, settings: dict, out: Path, **inputs) -> manifest.Manifest:
    """Run a verb as a person would, by its command line."""
    command = [python(module), "-m", module, "--settings", json.dumps(settings), "--out", str(out)]
    for name, paths in inputs.items():
        command += [f"--{name}", *map(str, paths)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return manifest.read(out)


def test_gsm8k_and_aime24_reach_a_score(finished, tmp_path):
    files = {"gsm8k": f"{DATA}/gsm8k_test.jsonl", "aime24": f"{DATA}/benchmarks/aime24.parquet"}
    sets = []
    for name, file in files.items():
        out = tmp_path / name / "data.json"
        verb(
            "polaris.problems.fetch_problems",
            {"file": file, "gold": "every", "count": None, "date": None, "max_rows": PROBLEMS},
            out,
        )
        problems = read_problems(out.parent / "problems.parquet")
        assert len(problems) == PROBLEMS
        assert not any("boxed" in row["problem"] for row in problems.values()), "the prompt's suffix is a recipe key"
        sets.append(out)
    answers = read_problems(tmp_path / "gsm8k/problems.parquet").values()
    assert next(iter(answers))["answers"] == ["18"]

    settings = RECIPE.evaluate.generate.model_dump(mode="json")
    settings |= {"k": {name: 2 for name in files}, "instruction": " Put the answer within \\boxed{}."}
    settings["engine"]["max_model_len"] = 2048
    model = finished / "core_filtered/checkpoint.json"
    responses = verb("polaris.generation.generate", settings, tmp_path / "r/data.json", model=[model], problems=sets)
    scores = verb(
        "polaris.grading.grade", RECIPE.evaluate.grading.model_dump(mode="json"), tmp_path / "s/data.json",
        responses=[responses.path], problems=sets,
    )  # fmt: skip
    rows = read_rows(scores.file("graded.parquet"), GRADED)
    assert len(rows) == 2 * 2 * PROBLEMS and {row["set"] for row in rows} == set(files)
    assert sum(row["correct"] for row in rows) / len(rows) < 0.2
