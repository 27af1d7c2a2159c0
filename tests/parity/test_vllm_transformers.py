"""Prompt log-probabilities of vLLM on a CPU against transformers', for the two architectures of the recipe, and with
YaRN.
"""

import json
import math
import random
from pathlib import Path

import pytest

from polaris.models.model_context import with_context
from polaris.models.settings import TinyModel, Yarn
from polaris.problems.tiny_problems import draw, solve
from polaris.stage import subprocesses
from tests.helpers.engine_process import ENGINE, engine_python

pytest.importorskip("vllm")

# So far that what the short texts of the test say depends on it: 64 positions become the 512 of the engine below.
YARN = Yarn(factor=8.0, original=64)
# Largest difference of a token's log-probability. Both compute in fp32; measured 1e-6.
TOLERANCE = 1e-4
# vLLM runs in a process of its own, whose group `subprocesses.run` stops: no engine outlives pytest.
SCRIPT = """
import json, sys
from vllm import LLM, SamplingParams

def main():
    model, prompts, out = sys.argv[1:]
    ids = json.load(open(prompts))
    engine = LLM(model, dtype="float32", max_model_len=512, max_num_seqs=8, enforce_eager=True)
    answers = engine.generate(
        [{"prompt_token_ids": p} for p in ids], SamplingParams(max_tokens=1, prompt_logprobs=0), use_tqdm=False
    )
    logprobs = [[at[i].logprob for at, i in zip(a.prompt_logprobs[1:], p[1:])] for a, p in zip(answers, ids)]
    json.dump(logprobs, open(out, "w"))

if __name__ == "__main__":
    main()
"""


def tiny_model(kind: str) -> TinyModel:
    return TinyModel.model_validate(
        {
            "tiny": kind,
            "hidden": 64,
            "layers": 2,
            "heads": 4,
            "kv_heads": 2,
            "head_dim": 32,
            "intermediate_size": 96,
            "experts": 4 if kind == "qwen3_moe" else 0,
            "experts_per_token": 2 if kind == "qwen3_moe" else 0,
            "context": 4096,
            "seed": 0,
            "pretraining": {
                "families": {"chain": 0.5, "digits": 0.5},
                "depth": [1, 3],
                "steps": 20,
                "batch": 16,
                "optimizer": "adamw",
                "learning_rate": 0.004,
                "error_rate": 0.05,
                "underlined": 0.5,
                "instruction": " Underline key results.",
            },
        }
    )


def log_probs(folder: Path, ids: list[list[int]]) -> list[list[float]]:
    """What transformers computes from the files of the model, not from what is in memory."""
    import torch
    from transformers import AutoModelForCausalLM

    model, found = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), []
    for tokens in ids:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([tokens])).logits[0]
        found.append(logits.log_softmax(-1)[:-1].gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].tolist())
    return found


def apart(one: list[list[float]], other: list[list[float]]) -> float:
    """The largest difference of a token's log-probability."""
    return max(abs(x - y) for a, b in zip(one, other, strict=True) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("kind", "yarn"), [("qwen3", None), ("qwen3_moe", None), ("qwen3", YARN)], ids=["qwen3", "qwen3_moe", "yarn"]
)
def test_prompt_logprobs_agree(kind: str, yarn: Yarn | None, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from polaris.models import tiny_training
    from polaris.models.tiny_tokenizer import build_tokenizer

    settings, rng = tiny_model(kind), random.Random(1)
    made, tokenizer = tiny_training.build_model(settings, build_tokenizer()), build_tokenizer()
    tiny_training.pretrain(made, tokenizer, settings.pretraining, rng, lambda step, loss: None)
    tiny_training.save(made, tokenizer, settings, tmp_path / "model")

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    problems = [draw(family, (1, 6), "benchmark", rng) for family in ("chain", "digits") * 4]
    ids = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": p.text}, {"role": "assistant", "content": solve(p, rng, 0.2, True)}],
            return_dict=False,
        )
        for p in problems
    ]
    (tmp_path / "ids.json").write_text(json.dumps(ids))
    asked = with_context(tmp_path / "model", None, yarn, tmp_path / "stretched")
    arguments = [str(asked), *(str(tmp_path / name) for name in ("ids.json", "logprobs.json"))]
    (script := tmp_path / "ask.py").write_text(SCRIPT)
    subprocesses.run([engine_python(), str(script), *arguments], tmp_path / "vllm.log", ENGINE, timeout=400)
    theirs = json.loads((tmp_path / "logprobs.json").read_text())

    worst = apart(log_probs(asked, ids), theirs)
    print(f"{kind}: largest difference {worst:.1e}")
    # Agreement must not just mean that both are uniform over the vocabulary.
    assert max(map(max, theirs)) - min(map(min, theirs)) > 2
    assert math.isfinite(worst) and worst < TOLERANCE
    if yarn:
        stretched = apart(log_probs(tmp_path / "model", ids), theirs)
        print(f"with YaRN other than without by up to {stretched:.2f}")
        assert stretched > 1000 * TOLERANCE
