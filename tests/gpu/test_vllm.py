"""vLLM's engine on one GPU, through a stage of ours: what it says of some prompts, against transformers on the same
GPU.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.models.tiny_tokenizer import build_tokenizer
from tests.gpu.random_models import TINY, random_model

ROOT = Path(__file__).resolve().parents[2]
ENGINE = {
    "device": "cuda", "dtype": "bfloat16", "max_model_len": 256, "max_num_seqs": 8, "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "nodes": 1, "kv_cache_dtype": "auto", "replicas": 1, "kv_cache_gib": None,
    "gpu_memory_utilization": 0.3, "yarn": None,
}  # fmt: skip
PROMPTS = ["a=6,b=a*4. Find (b).", "a=6,b=a*4. Find (b). <think>\n\\underline{b=6*4=24}\n</think>\n\n\\boxed{24}"]
TOLERANCE = 0.05  # mean difference of a token's log-probability in bfloat16; another model would be off by more than 1


def test_log_probabilities_are_those_of_transformers(gpu, tmp_path, figures):
    pytest.importorskip("vllm", reason="vLLM is not installed here")
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizer = build_tokenizer()
    # head_dim 64: what every attention kernel of vLLM takes.
    config = TINY | {"vocab_size": len(tokenizer), "head_dim": 64, "dtype": "bfloat16"}
    start = random_model(tmp_path / "tiny", config, "cuda", tokenizer)
    words = ["--settings", json.dumps({"prompts": PROMPTS, "vllm": ENGINE}), "--start", str(start)]
    command = [
        sys.executable,
        "-m",
        "large_sft.training.score_prompts",
        *words,
        "--out",
        str(tmp_path / "scored/data.json"),
    ]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((tmp_path / "scored/log_probs.json").read_text())
    model = transformers.AutoModelForCausalLM.from_pretrained(start.parent / "model", dtype=torch.bfloat16).to("cuda")
    differences = []
    for row in rows:
        tokens_T = torch.tensor([row["tokens"]], device="cuda")
        with torch.inference_mode():
            log_probs_TV = model(tokens_T).logits[0, :-1].float().log_softmax(-1)
        own_T = log_probs_TV.gather(1, tokens_T[0, 1:, None])[:, 0].cpu()
        differences.append((own_T - torch.tensor(row["log_probs"])).abs())
    figures["vLLM against transformers, mean difference of log-probabilities"] = float(torch.cat(differences).mean())
    assert torch.cat(differences).mean() < TOLERANCE
