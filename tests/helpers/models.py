"""Small models in Hugging Face layout, as their makers publish them."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from polaris.models.tiny_tokenizer import SIZE, build_tokenizer

INDEX = "model.safetensors.index.json"


def write_model(folder: Path, shards: int = 2) -> Path:
    """A folder with two tensors, a configuration, the tiny models' tokenizer and a program that must not run."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3", "vocab_size": SIZE}))
    build_tokenizer().save_pretrained(folder)
    (folder / "modeling_own.py").write_text("raise SystemExit('never executed')")
    names = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    for i, name in enumerate(names):
        save_file({f"layer.{i}.weight": np.full((4, 4), i, np.float32)}, folder / name)
    weight_map = {f"layer.{i}.weight": name for i, name in enumerate(names)}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    return folder


def edit_json(path: Path, **values: object) -> None:
    """Set these keys of a JSON object in a file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
