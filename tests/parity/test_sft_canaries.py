"""What Megatron's trained model says of a few traces is what transformers reads from its export, in every layout."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from large_sft.model.weights import Weights
from polaris.models import canaries
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers import stages
from tests.parity.megatron_layouts import CP2, EP2, PP2_VPP2, SETTINGS, TP2_EP2, make_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The folder with the manifests of start and data."""
    folder = tmp_path_factory.mktemp("canaries")
    make_inputs(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("said_tensor", {"layout": TP2_EP2}),
        ("said_context", {"layout": CP2, "loss_chunk": 48}),
        ("said_chunks", {"layout": PP2_VPP2}),
        ("said_half", {"layout": EP2, "precision": "bf16"}),
    ],
)
def test_what_the_trained_model_says_is_what_its_export_says(inputs, name, more):
    """The canaries of an SFT, in transformers; with a layer as it was before the training they are refused."""
    settings = {**SETTINGS, "epochs": 1.0, "learning_rate": 0.01, **more}
    given = {"start": inputs / "base" / "checkpoint.json", "data": inputs / "data" / "data.json"}
    out = inputs / name / "checkpoint.json"
    subprocess.run(stages.command("large_sft.training.train_sft", settings, out, **given), check=True)
    done = manifest.read(out)
    rows = json.loads(done.file(canaries.NAME).read_text())
    assert len(rows) == canaries.ROWS and all(len(row["response"]) == len(row["log_probs"]) > 1 for row in rows)
    worst = canaries.check(done.file(canaries.NAME), 1e-6, done.model, said_by(done.model))
    assert 0 < worst < (0.05 if "half" in name else 1e-6)
    shard = next(
        path for path in sorted(done.model.glob("*.safetensors")) if "experts.0.up_proj" in str(load_file(path))
    )
    tensors, base = load_file(shard), Weights(inputs / "base" / "model", "pt")
    save_file({n: base.slice(n)[:] if ".layers.0." in n else t for n, t in tensors.items()}, shard, {"format": "pt"})
    with pytest.raises(UserError, match="row 0 of canaries.json are .* a token away from the trainer's"):
        canaries.check(done.file(canaries.NAME), 1e-6, done.model, said_by(done.model))


def said_by(folder: Path) -> Callable[[list[int], list[int]], list[float]]:
    """Log-probabilities of a response's tokens by the model in transformers."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def log_probs(prompt: list[int], response: list[int]) -> list[float]:
        tokens = torch.tensor([[*prompt, *response]])
        with torch.no_grad():
            logits = model(tokens).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        return logits.gather(-1, tokens[0, len(prompt) :, None])[:, 0].tolist()

    return log_probs
