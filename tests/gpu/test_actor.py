"""RL's update on one GPU: verl's FSDP2 actor in FP16 and one response of 66,560 tokens with the vocabulary of Qwen3."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.hardware.memory import GIB, fsdp, total
from polaris.hardware.shapes import from_config
from small_rl.training import verl_devices

ROOT = Path(__file__).resolve().parents[2]
TOKENS = 66560  # max_prompt_length + max_response_length of configs/polaris_v2.yaml
SIZES = {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
         "head_dim": 128,
         "intermediate_size": 3072, "vocab_size": 151936}  # Qwen/Qwen3-0.6B  # fmt: skip


@pytest.fixture(scope="module")
def found(gpu, scratch, figures):
    """By `fused`: what tests/gpu/actor.py found; None where the GPU's memory did not suffice."""
    pytest.importorskip("verl", reason="verl is not installed here")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.Qwen3Config(**SIZES, tie_word_embeddings=True, max_position_embeddings=262144)
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.cpu().save_pretrained(scratch / "actor")
    del model
    torch.cuda.empty_cache()
    results = {fused: actor(scratch, fused) for fused in (True, False)}
    for fused, one in results.items():
        kept = {name: one[name] for name in ("log_probs_cost", "updates")} if one else "out of memory"
        figures["actor, fused kernels" if fused else "actor, all logits"] = kept
    return results


def actor(folder: Path, fused: bool) -> dict | None:
    job, out = folder / "actor.json", folder / f"found-{fused}.json"
    asked = {"model": str(folder / "actor"), "device": "cuda", "precision": "fp16", "tokens": TOKENS, "fused": fused}
    job.write_text(json.dumps(asked))
    command = [sys.executable, "-m", "tests.gpu.actor", str(job), str(out)]
    env = os.environ | verl_devices.environment("cuda")
    done = subprocess.run(command, check=False, env=env, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if "OutOfMemoryError" in done.stderr:
        return None
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return json.loads(out.read_text())


def test_a_long_response_fits_by_the_plan(found, figures):
    """Chunks of logits: the measured peak is below what the plan counts, without what it adds for contexts and
    fragments.
    """
    shape = from_config(SIZES | {"tie_word_embeddings": True}, "here")
    parts = fsdp(shape, 1, TOKENS)
    planned, measured = (total(parts) - parts["other"]) / GIB, max(one["cost"]["GiB"] for one in found[True]["updates"])
    figures["actor, planned GiB"] = round(planned, 2)
    assert 0.5 * planned < measured <= planned


def test_the_log_probabilities_are_those_of_all_logits(found):
    import torch

    if found[False] is None:
        pytest.skip("all logits of this response do not fit into this GPU")
    whole, chunked = (torch.tensor(found[fused]["log_probs"]) for fused in (False, True))
    assert (
        len(whole) == TOKENS and (whole - chunked).abs().mean() < 2e-3
    )  # fp16 rounds logits of about 12 by up to .004


def test_the_scaler_leaves_out_an_update_that_overflows(found):
    plain, overflowed = found[True]["updates"]
    assert plain["moved"] and plain["scale"][0] == plain["scale"][1]
    assert not overflowed["moved"] and overflowed["scale"][1] == overflowed["scale"][0] / 2
