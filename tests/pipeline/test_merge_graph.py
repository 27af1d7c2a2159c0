"""The sweep as Snakemake sees it: one alpha more is one job more, a batch is found done, removed weights rebuild
nothing.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from merge.settings import Merging
from polaris.recipe import recipe
from polaris.stage import manifest
from tests.helpers.merge_checkpoints import near, save, weights
from tests.helpers.report_run import Run
from tests.helpers.stages import publish

from .conftest import CONFIGS, ROOT, snakemake

BASE = weights(1)


@pytest.fixture
def run(tmp_path) -> Path:
    """A run up to its merge, and the scores of two alphas, as if they had been merged and evaluated."""
    folder = tmp_path / "runs/test"
    for name, tensors in (("base_large", BASE), ("distilled", near(BASE, 2))):
        save(folder / name / "model", tensors)
        publish(folder / name)
    return folder


def sweep(run: Path, overlay: dict, *targets: str, **more: Any) -> str:
    """Snakemake with the rules of this card alone: everything else is taken as it lies there. more: of the recipe."""
    path = run.parents[1] / "mine.yaml"
    path.write_text(json.dumps({"merge": overlay, **more}))
    wanted = [f"runs/test/merged/{target}" for target in targets]
    done = snakemake(
        run.parents[1], *wanted, "--allowed-rules", "merged", "merged_weights", configs=[*CONFIGS, str(path)]
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def jobs(text: str) -> dict[str, int]:
    """Rule -> how many of its jobs ran."""
    return {
        name: len(re.findall(rf"^(?:local)?rule {name}:", text, re.MULTILINE)) for name in ("merged", "merged_weights")
    }


def dates(run: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run.rglob("checkpoint.json")}


def test_one_more_alpha_is_one_more_job_and_a_batch_is_found_done(run):
    settings = {name: getattr(recipe.load(CONFIGS).merge, name) for name in Merging.model_fields}
    target = "runs/test/merged/alpha={alpha}/checkpoint.json"
    flags = ["--settings", json.dumps(settings), "--alphas", "0.3", "0.5", "--out", target]
    inputs = ["--base", "runs/test/base_large/checkpoint.json", "--distilled", "runs/test/distilled/checkpoint.json"]
    command = [sys.executable, "-m", "merge.merge_models", *flags, *inputs]
    subprocess.run(command, cwd=run.parents[1], check=True, env={"PYTHONPATH": str(ROOT)})
    two = [f"alpha={alpha}/checkpoint.json" for alpha in ("0.30", "0.50")]
    assert "Nothing to be done" in sweep(run, {"alphas": [0.3, 0.5]}, *two)
    before = dates(run)
    text = sweep(run, {"alphas": [0.3, 0.4, 0.5]}, *two, "alpha=0.40/checkpoint.json")
    assert jobs(text) == {"merged": 1, "merged_weights": 0}
    assert before.items() <= dates(run).items()
    assert len(dates(run)) == len(before) + 1


def test_removed_weights_rebuild_nothing_until_they_are_selected(run):
    scores = Run(run)
    for name in ("alpha=0.30", "alpha=0.50"):
        scores.scores(name, {"chain": {"p0": "10", "p1": "11"}})
    targets = [f"alpha={alpha}/weights.json" for alpha in ("0.30", "0.50")]
    recipe_of = {"alphas": [0.3, 0.5], "keep": "selected"}
    assert jobs(sweep(run, recipe_of, *targets)) == {"merged": 2, "merged_weights": 2}
    assert not list(run.glob("merged/*/model/*.safetensors"))
    before, done = dates(run), manifest.read(run / "merged/alpha=0.30/checkpoint.json")
    assert "Nothing to be done" in sweep(run, recipe_of, *targets)
    text = sweep(run, recipe_of | {"selected": 0.3}, *targets)
    assert jobs(text) == {"merged": 0, "merged_weights": 1}
    assert "alpha=0.30: its weights were removed after their evaluation and are needed" in text
    assert [path.parts[-3] for path in run.glob("merged/*/model/*.safetensors")] == ["alpha=0.30"]
    (weights_file,) = (name for name in done.files if name.endswith(".safetensors"))
    assert manifest.file_digest(done.folder / weights_file) == done.files[weights_file]["xxh3"]
    assert dates(run) == before


def test_averages_of_several_models_are_jobs_of_the_same_rule(run):
    """A grid, in which the sweep has one point already; weights go but for the selected average's."""
    save(run / "opd/model", near(BASE, 3))
    publish(run / "opd")
    opd = {"like": "grpo", "student": "base_large", "teacher": "core_filtered", "distillation": {"engine": "laptop"}}
    more = {"extends": ["presets/opd"], "opd": {"opd": opd}}
    soup = {"models": ["distilled", "opd"], "step": 0.5, "points": [[0.2, 0.4, 0.4]], "selected": [0.2, 0.4, 0.4]}
    names = ["soup=0.00_0.50_0.50", "soup=0.50_0.00_0.50", "soup=0.20_0.40_0.40"]
    scores = Run(run)
    for name in names:
        scores.scores(name, {"chain": {"p0": "10", "p1": "11"}})
    targets = [f"{name}/weights.json" for name in names]
    overlay = {"alphas": [0.5], "keep": "selected", "soup": soup}
    assert jobs(sweep(run, overlay, *targets, **more)) == {"merged": 3, "merged_weights": 3}
    assert [path.parts[-3] for path in run.glob("merged/*/model/*.safetensors")] == [names[2]]
    three, two = (manifest.read(run / f"merged/{name}/checkpoint.json") for name in (names[0], names[1]))
    assert three.settings["several"] == [0.0, 0.5, 0.5] and two.settings["alpha"] == 0.5
    assert [path.parent.name for path in manifest.paths_of(three.inputs["distilled"]["path"])] == ["distilled", "opd"]
    assert [path.parent.name for path in manifest.paths_of(two.inputs["distilled"]["path"])] == ["opd"]
    overlay = overlay | {"soup": soup | {"selected": [0.0, 0.5, 0.5]}}
    text = sweep(run, overlay, *targets, **more)
    assert jobs(text) == {"merged": 0, "merged_weights": 2} and "they are merged again" in text
    assert [path.parts[-3] for path in run.glob("merged/*/model/*.safetensors")] == [names[0]]


def test_what_is_finished_stays_finished(run):
    """With an input from a machine whose clock was a day ahead, and where the code does not count any more."""
    for name in ("base_large", "distilled"):
        os.utime(run / name / "checkpoint.json", (tomorrow := time.time() + 86400, tomorrow))
    assert jobs(sweep(run, {"alphas": [0.3]}, "alpha=0.30/checkpoint.json"))["merged"] == 1
    before = dates(run)
    assert (run / "merged/alpha=0.30/checkpoint.json").exists() and max(before.values()) < time.time_ns()
    text = sweep(run, {"alphas": [0.3]}, "alpha=0.30/checkpoint.json", invalidate_on_code=False)
    assert "Nothing to be done" in text and dates(run) == before
