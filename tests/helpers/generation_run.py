"""A tiny model, two problem sets and settings for the verb that generates."""

import json
import shutil
from pathlib import Path

from polaris.models import make_model
from polaris.problems import make_problems
from polaris.stage import manifest
from tests.helpers.tables import run

MODEL = {
    "tiny": "qwen3",
    "hidden": 32,
    "layers": 2,
    "heads": 2,
    "kv_heads": 1,
    "head_dim": 32,
    "intermediate_size": 48,
    "experts": 0,
    "experts_per_token": 0,
    "context": 4096,
    "seed": 3,
    "pretraining": {
        "families": {"chain": 1.0},
        "depth": [1, 2],
        "steps": 2,
        "batch": 4,
        "optimizer": "adamw",
        "learning_rate": 0.004,
        "error_rate": 0.05,
        "underlined": 0.3,
        "instruction": "",
    },
}
SETTINGS = {
    "k": {"chain": 40, "digits": 10},
    "instruction": " Underline key results.",
    "sampling": {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "max_tokens": 64, "seed": 11},
    "engine": {
        "device": "cpu",
        "dtype": "float32",
        "max_model_len": 256,
        "max_num_seqs": 64,
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "nodes": 1,
        "kv_cache_dtype": "auto",
        "replicas": 1,
        "kv_cache_gib": 0.125,
        "gpu_memory_utilization": None,
        "yarn": None,
    },
}
COUNTS = {"chain": 24, "digits": 12}
MINUTES = 10


def make_inputs(folder: Path) -> dict[str, Path]:
    """A tiny model and two problem sets, by their verbs in this process."""
    made = {"model": (make_model, MODEL, folder / "model/checkpoint.json")}
    for family, count in COUNTS.items():
        settings = {"family": family, "pool": "train", "count": count, "depth": [2, 3], "error_rate": 0.0, "seed": 5}
        made[family] = (make_problems, settings, folder / family / "data.json")
    for module, settings, out in made.values():
        run(module.main, "--settings", json.dumps(settings), "--out", out)
    return {name: out for name, (_, _, out) in made.items()}


def arguments(inputs, settings, out: Path, sets=("chain", "digits")) -> list[str]:
    problems = [str(inputs[name]) for name in sets]
    asked = ["--settings", json.dumps(settings), "--model", str(inputs["model"]), "--problems", *problems]
    return [*asked, "--out", str(out)]


def broken_model(inputs, tmp_path) -> dict[str, Path]:
    folder = tmp_path / "broken"
    shutil.copytree(inputs["model"].parent, folder)
    return inputs | {"model": folder / "checkpoint.json"}


def changed_model(inputs, tmp_path, name, change) -> dict[str, Path]:
    """The model with other values in one of its JSON files: those that `change` gives of the old ones."""
    given = broken_model(inputs, tmp_path)
    path = given["model"].parent / "model" / name
    old = json.loads(path.read_text())
    path.write_text(json.dumps(old | change(old)))
    record = json.loads(given["model"].read_text())
    record["files"][f"model/{name}"] = {"size": path.stat().st_size, "xxh3": manifest.file_digest(path)}
    given["model"].write_text(json.dumps(record))
    return given
