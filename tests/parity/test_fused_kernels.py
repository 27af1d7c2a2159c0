"""What a GPU's RL computes in chunks of tokens is what it would compute from all logits at once: verl's own engine,
both ways.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from small_rl.training import verl_devices

pytest.importorskip("verl")
transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
         "intermediate_size": 128, "vocab_size": 512}  # fmt: skip
TOKENS = 1300  # two whole chunks of 512 and a part of one


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """By `fused`: what tests/gpu/actor.py found."""
    folder = tmp_path_factory.mktemp("actor")
    torch.manual_seed(0)
    config = transformers.Qwen3Config(**SIZES, tie_word_embeddings=True, max_position_embeddings=4096)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder / "model")
    results = {}
    for fused in (False, True):
        job, out = folder / f"job-{fused}.json", folder / f"out-{fused}.json"
        asked = {"model": str(folder / "model"), "device": "cpu", "precision": "fp32", "tokens": TOKENS, "fused": fused}
        job.write_text(json.dumps(asked))
        done = subprocess.run(
            [sys.executable, "-m", "tests.gpu.actor", job, out],
            env=os.environ | verl_devices.environment("cpu") | {"GLOO_SOCKET_IFNAME": "lo"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        results[fused] = json.loads(out.read_text())
    return results


def test_the_log_probabilities_are_the_same(found):
    whole, chunked = (torch.tensor(found[fused]["log_probs"]) for fused in (False, True))
    assert len(whole) == TOKENS and whole.std() > 1e-3
    assert (whole - chunked).abs().max() < 2e-6


def test_the_gradients_are_the_same(found):
    (whole,), (chunked,) = (found[fused]["updates"] for fused in (False, True))
    assert whole["moved"] and chunked["moved"] and whole["grad_norm"] > 1e-3
    assert chunked["grad_norm"] == pytest.approx(whole["grad_norm"], rel=1e-5)
