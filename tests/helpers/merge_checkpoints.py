"""Tiny checkpoints in Hugging Face layout and their merges, for the tests of the merge."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from merge import merge_models
from polaris.stage import manifest
from tests.helpers.stages import command

# The settings of a merge at any alpha.
MERGING = {
    "backend": "stream",
    "mergekit": None,
    "dtype": None,
    "tokenizer": "same",
    "threads": 2,
    "o_direct": False,
    "sha256": False,
}
TOKENIZER = {
    "version": "1.0",
    "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "c": 2}, "unk_token": "a"},
    "padding": None,
}
NAMES = (
    "model.embed_tokens.weight",
    "model.layers.0.mlp.experts.0.up_proj.weight",
    "model.layers.0.mlp.experts.1.up_proj.weight",
    "model.norm.weight",
    "lm_head.weight",
)


def weights(seed: int, dtype: torch.dtype = torch.bfloat16, rows: int = 64) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (torch.randn(*((48,) if "norm" in name else (rows, 48)), generator=generator) * 0.02).to(dtype)
        for name in NAMES
    }


BASE = weights(1)


def near(start: dict[str, torch.Tensor], seed: int, step: float = 1e-3) -> dict[str, torch.Tensor]:
    """As training leaves them: a small step away."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (tensor.float() + step * torch.randn(tensor.shape, generator=generator)).to(tensor.dtype)
        for name, tensor in start.items()
    }


def save(folder: Path, tensors: dict[str, torch.Tensor], shards: int = 1, **config: object) -> Path:
    """A checkpoint of `shards` files (tensors dealt out in turn) with config and tokenizer."""
    folder.mkdir(parents=True)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        files = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
        weight_map = {name: files[i % shards] for i, name in enumerate(tensors)}
        for file in files:
            held = {name: tensors[name] for name, where in weight_map.items() if where == file}
            save_file(held, folder / file, metadata={"format": "pt"})
        write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    write_json(folder / "config.json", {"model_type": "qwen3", "dtype": "bfloat16", "hidden_size": 48} | config)
    save_tokenizer(folder)
    return folder


def save_tokenizer(folder: Path) -> None:
    write_json(folder / "tokenizer.json", TOKENIZER)
    write_json(folder / "tokenizer_config.json", {"eos_token": "c", "chat_template": "{{ messages }}"})


def load(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def run_merge(monkeypatch, models: Sequence[Path], out: Path, *flags: str, **settings: object) -> None:
    """merge_models in this process; models: manifests of base and distilled ones; out: the manifest to write."""
    words = command("merge.merge_models", MERGING | settings, out, base=models[0], distilled=models[1:])
    monkeypatch.setattr(sys, "argv", [*words[2:], *flags])
    merge_models.main()


def merged_stage(monkeypatch, models: Sequence[Path], folder: Path, **settings: object) -> manifest.Manifest:
    """The merge into `folder`, at alpha 0.3 unless the settings say `several`."""
    alpha = {} if "several" in settings else {"alpha": 0.3}
    run_merge(monkeypatch, models, folder / "checkpoint.json", **alpha | settings)
    return manifest.read(folder / "checkpoint.json")
