"""What the trainings of a run cost, from their manifests and logs: tokens generated and floating point operations."""

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from polaris.evaluation import lineage
from polaris.hardware import shapes
from polaris.hardware.shapes import Shape
from polaris.models.checkpoint import CONFIG, read_config
from polaris.recipe.recipe import Recipe
from polaris.stage import manifest
from polaris.stage.manifest import Manifest
from polaris.stage.records import RESPONSES, read_rows
from small_rl.rollouts import store

TRAINING = 3  # forward passes that one pass of training is worth: forward, and backward twice that
RL = 1 + 1 + TRAINING  # sampled, read once more by the trainer before the update, trained
CHECKPOINT, DATA = "checkpoint.json", "data.json"


def costs(recipe: Recipe, run: Path) -> dict[str, Any]:
    """`costs` of a tournament's record.

    stages: stage -> responses, generated (tokens), flops. Of RL and OPD all sampled tokens pass the model five times
    and each model that reads them once; of an SFT each trained token three times. A response counts with its prompt.
    forward: small, large -> floating point operations of one token's forward pass, in sequences as OPD's
    """
    trained = {name: run / name for name in (*recipe.rl, *recipe.opd) if (run / name / CHECKPOINT).exists()}
    stages = {name: _rl(manifest.read(folder / CHECKPOINT)) for name, folder in trained.items()}
    prompts, lengths = _read_by(trained, recipe)
    for folder in recipe.traces:
        if (run / folder / DATA).exists() and prompts:
            stages[folder] = _traces(manifest.read(run / folder / DATA), fmean(prompts))
    for arm in recipe.arms if recipe.large_sft else ():
        if (path := run / f"distilled{arm}" / CHECKPOINT).exists():
            stages[f"distilled{arm}"] = _sft(manifest.read(path))
    names = {"small": "base_small", "large": "base_large"}
    there = {name: run / base / CHECKPOINT for name, base in names.items() if (run / base / CHECKPOINT).exists()}
    length = fmean(lengths) if lengths else 0.0
    return {
        "stages": stages,
        "forward": {name: _shape(manifest.read(path)).forward_flops(length) for name, path in there.items()},
    }


def _rl(stage: Manifest) -> dict[str, float]:
    """An RL or OPD stage, from all that it sampled."""
    prompts, responses = zip(*_sampled(stage), strict=True)
    read = sum(prompts) + sum(responses)
    length = read / len(responses)
    forward = RL * _shape(_input(stage, "start")).forward_flops(length)
    readers = ["teacher", "base"] + (["start"] if (stage.settings.get("distillation") or {}).get("delta") else [])
    forward += sum(_shape(_input(stage, one)).forward_flops(length) for one in readers if one in stage.inputs)
    return {"responses": len(responses), "generated": sum(responses), "flops": read * forward}


def _sampled(stage: Manifest) -> Iterator[tuple[int, int]]:
    """(tokens of the prompt, of the response) of every response of a stage."""
    folder = stage.folder / "log" / store.FOLDER
    for step in store.stored_steps(folder):
        prompt = 0
        for row in store.read_step(folder, step, ["prompt", "response"]):
            prompt = prompt if row["prompt"] is None else len(row["prompt"])
            yield prompt, len(row["response"])


def _read_by(trained: dict[str, Path], recipe: Recipe) -> tuple[list[int], list[int]]:
    """Lengths of the prompts of the first OPD stage, which are those of the traces, and with their responses."""
    first = next((name for name in recipe.opd if name in trained), None)
    both = list(_sampled(manifest.read(trained[first] / CHECKPOINT))) if first else []
    return [prompt for prompt, _ in both], [prompt + response for prompt, response in both]


def _traces(stage: Manifest, prompt: float) -> dict[str, float]:
    """Traces, read and written once. prompt: mean tokens"""
    tokens = [row["tokens"] for row in read_rows(stage.file("responses.parquet"), RESPONSES)]
    read = sum(tokens) + len(tokens) * prompt
    forward = _shape(_input(stage, "model")).forward_flops(read / len(tokens))
    return {"responses": len(tokens), "generated": sum(tokens), "flops": read * forward}


def _sft(stage: Manifest) -> dict[str, float]:
    tokens, traces = stage.metrics["tokens"], stage.metrics["traces"]
    flops = TRAINING * tokens * _shape(_input(stage, "start")).forward_flops(tokens / traces)
    return {"responses": 0, "generated": 0, "flops": flops}


def _input(stage: Manifest, name: str) -> Manifest:
    (path,) = lineage.input_paths(stage, [name])
    return manifest.read(path)


def _shape(checkpoint: Manifest) -> Shape:
    config = checkpoint.model / CONFIG
    return shapes.from_config(read_config(checkpoint.model), str(config))
