"""How fast vLLM decodes on one GPU, beside what the plan says: V2's specialist in shape, with random weights."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.generation.settings import Engine
from polaris.hardware import shapes
from polaris.hardware.gpus import GPUS
from polaris.planning.plan_time import DECODING, Decoding
from tests.gpu.random_models import random_model

ROOT = Path(__file__).resolve().parents[2]
QWEN3_4B = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 151936, "hidden_size": 2560,
    "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "intermediate_size": 9728, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "hidden_act": "silu", "attention_bias": False,
    "max_position_embeddings": 262144, "tie_word_embeddings": True, "dtype": "bfloat16",
}  # fmt: skip
ENGINE = {
    "device": "cuda", "dtype": "bfloat16", "max_model_len": 4096, "max_num_seqs": 256, "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1, "nodes": 1, "kv_cache_dtype": "auto", "replicas": 1, "kv_cache_gib": None,
    "gpu_memory_utilization": 0.85, "yarn": None,
}  # fmt: skip
RESPONSES, PROMPT, LENGTH = 256, 128, 1024


def card(name: str) -> str:
    """The plan's name of the card that torch names, as "NVIDIA H100 80GB HBM3"."""
    words = name.replace(" ", "-")
    found = [known for known in GPUS if all(part in words for part in known.split("-"))]
    if not found:
        pytest.skip(f"{name}: no data sheet of it in polaris/hardware/gpus.py")
    return found[0]


def test_decoding_takes_the_share_of_the_bandwidth_that_the_plan_says(gpu, scratch, figures):
    pytest.importorskip("vllm", reason="vLLM is not installed here")
    known = GPUS[card(gpu)]
    start = random_model(scratch / "decoding", QWEN3_4B, "cuda")
    job, out = scratch / "decoding.json", scratch / "decoded.json"
    asked = {"engine": ENGINE, "responses": RESPONSES, "prompt": PROMPT, "max_tokens": LENGTH}
    job.write_text(json.dumps(asked | {"model": str(start.parent / "model")}))
    command = [sys.executable, "-m", "tests.gpu.decoding", str(job), str(out)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(out.read_text())
    shape = shapes.from_config(QWEN3_4B, "here")
    mean = seen["tokens"] / seen["responses"]
    engines = Decoding(shape, known, Engine(**ENGINE), 1)
    # What the plan takes for the time at full bandwidth; it counts no prompt, whose cache is read as well.
    bound = engines.seconds(seen["responses"], (mean, mean), LENGTH)[0] * DECODING[1]
    share = bound / seen["seconds"]
    figures["decoding"] = seen | {"tokens/s": round(seen["tokens"] / seen["seconds"]), "share of the bandwidth": share}
    assert DECODING[0] <= share <= DECODING[1]
