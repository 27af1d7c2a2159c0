"""docs/your-own.md, followed literally: from an empty folder with a model and two files of problems to a report."""

import json
import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from polaris.models import make_model
from polaris.problems.tiny_problems import answer, draw
from polaris.recipe.recipe import load
from tests.helpers.engine_process import engine_python
from tests.helpers.tables import run

from .conftest import ROOT

PAGE = (ROOT / "docs/your-own.md").read_text()
BLOCKS = re.findall(r"```(sh|yaml)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the page says that one has: a model, made and briefly trained here, and problems that it may solve."""
    folder = tmp_path_factory.mktemp("own")
    tiny = load([ROOT / "configs/laptop.yaml", ROOT / "configs/test.yaml"]).inputs.base_small
    elsewhere = tmp_path_factory.mktemp("made")
    run(make_model.main, "--settings", tiny.model_dump_json(), "--out", elsewhere / "checkpoint.json")
    (elsewhere / "model").rename(folder / "model")
    rng = random.Random(0)
    for name, number, pool in (("problems", 40, "train"), ("test", 12, "benchmark")):
        drawn = [draw("chain", (2, 4), pool, rng) for _ in range(number)]
        rows = [json.dumps({"problem": one.text, "answer": str(answer(one))}) for one in drawn]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """As in the installed environment: `polaris` and `snakemake` are commands, $POLARIS is the clone."""
    here = folder / ".bin"
    here.mkdir(exist_ok=True)
    for name, module in (("polaris", "polaris.commands.cli"), ("snakemake", "snakemake")):
        (here / name).write_text(f'#!/bin/sh\nexec "{engine_python()}" -m {module} "$@"\n')
        (here / name).chmod(0o755)
    return os.environ | {"PATH": f"{here}:{os.environ['PATH']}", "POLARIS": str(ROOT), "PYTHONPATH": str(ROOT)}


def test_the_page_is_followed_literally(folder):
    said = ""
    for kind, block in BLOCKS:
        if kind == "yaml":
            name = re.search(r"`(\w+\.yaml)` is the recipe with", PAGE)[1]
            (folder / name).write_text(block)
            continue
        asked = ["sh", "-e", "-c", block]
        done = subprocess.run(asked, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
        said += done.stdout
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "a turn ends with <|im_end|>" in said and "40 problems" in said and "base_small" in said
    assert "wrong" not in said and len((folder / "mine.yaml").read_text().splitlines()) <= 15
    results = json.loads((folder / "runs/first/report/results.json").read_text())
    assert {one["name"] for one in results["models"]} == {"base_small", "grpo"}
    assert (folder / "runs/first/report/index.html").stat().st_size > 10_000
