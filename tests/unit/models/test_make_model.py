"""The verb that makes tiny models: what it writes loads elsewhere, and is the same every time."""

import json
from pathlib import Path
from typing import Any

import pytest

from polaris.models import make_model
from polaris.stage import manifest
from tests.helpers.verb_settings import DENSE

MIXTURE = DENSE | {"tiny": "qwen3_moe", "experts": 4, "experts_per_token": 2}


def make(settings: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> manifest.Manifest:
    out = folder / "checkpoint.json"
    monkeypatch.setattr("sys.argv", ["make_model", "--settings", json.dumps(settings), "--out", str(out)])
    make_model.main()
    return manifest.read(out)


@pytest.mark.parametrize(("settings", "parts"), [(DENSE, 3), (MIXTURE, 3 * 4)])
def test_model_directory(settings: dict, parts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = make(settings, tmp_path, monkeypatch)
    config = json.loads((made.model / "config.json").read_text())
    assert config["rope_theta"] == 10_000 and config["torch_dtype"] == "float32" and config["eos_token_id"] == 2
    assert config.get("num_experts", 0) == settings["experts"]
    weights = load_file(made.model / "model.safetensors")
    assert all(tensor.dtype == torch.float32 for tensor in weights.values())
    # One matrix per expert, as in the published models, and an output layer only where embeddings are not tied.
    assert sum(name.startswith("model.layers.0.mlp.") and "_proj" in name for name in weights) == parts
    assert ("lm_head.weight" in weights) == (settings["tiny"] == "qwen3_moe")

    model, loading = AutoModelForCausalLM.from_pretrained(made.model, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert model.config.rope_parameters["rope_theta"] == 10_000
    assert len(AutoTokenizer.from_pretrained(made.model)) == model.config.vocab_size == model.lm_head.weight.shape[0]

    curve = [json.loads(line) for line in (tmp_path / "log" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in curve] == [1, 2] and made.steps == {"planned": 2, "reached": 2}


def test_the_seed_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again, other = (
        make(DENSE | {"seed": seed}, tmp_path / name, monkeypatch).files["model/model.safetensors"]["xxh3"]
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again != other
