"""The trainer in every layout against one process: `make parity` prints the table (docs/generalist.md).

Tiny random models on the CPU; one start of torchrun a row.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from large_sft.model.weights import Weights
from large_sft.settings import Sft
from large_sft.traces.tokens import read_traces
from large_sft.training.job import TrainingJob
from large_sft.training.train_sft import planned_packs
from polaris.stage import subprocesses
from polaris.stage.records import TOKENS, write_rows
from polaris.stage.terminal import table
from tests.helpers.stages import publish

VOCABULARY = 512
STEPS = 3
ONE = {
    "gpus_per_node": 1, "nodes": 1, "tensor": 1, "pipeline": 1, "expert": 1, "expert_tensor": 1, "context": 1,
    "virtual_pipeline": 1, "first_layers": None, "last_layers": None,
}  # fmt: skip
TWO = {**ONE, "gpus_per_node": 2}
FOUR = {**ONE, "gpus_per_node": 4}
EP2 = {**TWO, "expert": 2}
CP2 = {**TWO, "context": 2}
PP2_VPP2 = {**TWO, "pipeline": 2, "virtual_pipeline": 2}
TP2_EP2 = {**EP2, "tensor": 2}
SETTINGS = {
    "device": "cpu",
    "epochs": 1.0,
    "batch_tokens": 512,
    "seq_length": 128,
    # Adam makes a whole step of a gradient that is all rounding: with 1e-3 such steps alone move the third norm by
    # 1e-6.
    "learning_rate": 3e-4,
    "min_learning_rate": 1e-4,
    "warmup": 0.25,
    "weight_decay": 0.1,
    "betas": [0.9, 0.95],
    "grad_clip": 1.0,
    "aux_loss": 0.001,
    "precision": "fp32",
    "recompute": "none",
    "transformer_impl": "local",
    "dispatcher": "alltoall",
    "loss_chunk": None,
    "save_every": 2,
    "reshardable": False,
    "shard_gb": 0.0003,
    "timeout": 300,
    "seed": 1,
}
# name -> (layout, other settings, data); a row is compared with the first one on the same data.
ROWS = {
    "W1": (ONE, {}, "data"),
    "W1, loss in chunks of 48 tokens": (ONE, {"loss_chunk": 48}, "data"),
    "DP2": (TWO, {}, "data"),
    "EP2": (EP2, {}, "data"),
    "EP2, all recomputed, reshardable": (EP2, {"recompute": "full", "reshardable": True}, "data"),
    "TP2 + EP2": (TP2_EP2, {}, "data"),
    "TP2 + EP2, loss in chunks of 48 tokens": (TP2_EP2, {"loss_chunk": 48}, "data"),
    "TP2 + ETP2": ({**TWO, "tensor": 2, "expert_tensor": 2}, {}, "data"),
    "PP2": ({**TWO, "pipeline": 2}, {}, "data"),
    "PP2, layers 1 + 3": ({**TWO, "pipeline": 2, "first_layers": 1}, {}, "data"),
    "PP2 + VPP2": (PP2_VPP2, {}, "data"),
    "CP2 packed": (CP2, {}, "data"),
    "EP2 x CP2": ({**FOUR, "expert": 2, "context": 2}, {}, "data"),
    "EP2 x PP2": ({**FOUR, "expert": 2, "pipeline": 2}, {}, "data"),
    "W1, one trace a pack": (ONE, {}, "long"),
    "CP2, one trace a pack": (CP2, {}, "long"),
}


def tiny(folder: Path, experts: int, tied: bool) -> Path:
    """A random Qwen3-MoE, or a dense Qwen3, far enough from its initial values that every weight matters."""
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

    torch.manual_seed(0)
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": tied,
    }
    if experts:
        mixture = {
            "moe_intermediate_size": 48,
            "num_experts": experts,
            "num_experts_per_tok": 2,
            "norm_topk_prob": True,
        }
        model = Qwen3MoeForCausalLM(Qwen3MoeConfig(**sizes, **mixture))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**sizes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1) if parameter.ndim == 1 else parameter.mul_(3)
    model.save_pretrained(folder, max_shard_size="300KB")
    return folder


def traces(folder: Path, shortest: int, longest: int) -> None:
    """33 random traces of 4 n + 3 tokens, shortest <= n < longest.

    Context parallelism of two ranks fills each up by a token: of that length, and with this seed, they are packed
        alike.
    """
    rng = np.random.default_rng(39)
    lengths = 4 * rng.integers(shortest, longest, 33) + 3
    rows = [
        {
            "problem_id": str(i),
            "input_ids": rng.integers(0, VOCABULARY, n).tolist(),
            "prompt_tokens": int(rng.integers(1, n - 5)),
        }
        for i, n in enumerate(lengths)
    ]
    folder.mkdir()
    write_rows(folder / "tokens.parquet", rows, TOKENS)
    publish(folder, "data.json")


def make_inputs(folder: Path) -> None:
    """Two models with prompts, and two sets of traces: several, and one to a pack."""
    tiny(folder / "base" / "model", experts=8, tied=False)
    tiny(folder / "dense" / "model", experts=0, tied=True)
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, VOCABULARY, (3, 40)))
    for name in ("base", "dense"):
        save_file({"ids": ids}, folder / name / "prompts.safetensors")
    publish(folder / "base")
    traces(folder / "data", 5, 25)
    traces(folder / "long", 17, 32)


def checks(inputs: Path, out: Path, layout: dict, *models: Path, data: str = "data", **settings) -> list[dict]:
    """Run megatron_checks.py in `layout`, going on from a checkpoint in `out`; the metrics of its steps."""
    out.mkdir(exist_ok=True)
    section = Sft.model_validate({**SETTINGS, **settings, "layout": layout})
    start, tokens = inputs / "base" / "model", inputs / data / "tokens.parquet"
    packs_SK = planned_packs(start, read_traces(tokens), section)
    paths = {"start": start, "tokens": tokens, "state": out, "out": out / "model", "metrics": out / "metrics.jsonl"}
    TrainingJob(settings=section, packs_SK=packs_SK, **paths).write(job := out / "job.json")
    # With Slurm's warning blocked, as in a stage: threads that are there already would not block it.
    command = [sys.executable, "-m", "large_sft.training.torchrun_node", "--standalone", "--local-addr", "127.0.0.1"]
    command += ["--nproc-per-node", str(layout["gpus_per_node"]), str(Path(__file__).with_name("megatron_checks.py"))]
    environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    subprocesses.run([*command, str(job), str(STEPS), *map(str, models)], out / "log", environment, timeout=300)
    return metrics(out)


def metrics(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def same_weights(one: Path, other: Path) -> bool:
    a, b = Weights(one, "pt"), Weights(other, "pt")
    return a.names == b.names and all(torch.equal(a.slice(n)[:], b.slice(n)[:]) for n in a.names)


def differences(reference: list[dict], found: list[dict]) -> tuple[float, float]:
    """Largest relative difference over the steps: of the loss, of the gradient's norm. The steps have the same
    tokens.
    """
    pairs = list(zip(reference, found, strict=True))
    assert all(a[name] == b[name] for a, b in pairs for name in ("step", "tokens", "loss_tokens", "learning_rate"))
    return tuple(max(abs(b[name] / a[name] - 1) for a, b in pairs) for name in ("loss", "grad_norm"))


def main() -> None:
    """Print the table, or the rows that are named and W1; exit status 1 where a row is not what it must be."""
    rows = [("layout", "processes", "loss", "gradient norm", "packed = single", "round trip", "resumed")]
    good, first = True, {}
    with tempfile.TemporaryDirectory() as temporary:
        inputs = Path(temporary)
        make_inputs(inputs)
        for number, (name, (layout, settings, data)) in enumerate(ROWS.items()):
            if sys.argv[1:] and name not in sys.argv and data in first:
                continue
            out = inputs / f"row{number}"
            found = checks(inputs, out, layout, data=data, **settings)
            loss, norm = differences(first.setdefault(data, found), found)
            seen = json.loads((out / "seen.json").read_text())
            packed = abs(seen["packed"] / seen["single"] - 1)
            whole = same_weights(inputs / "base" / "model", out / "model")
            good &= max(loss, norm, packed) <= 1e-6 and whole and seen["resumed"]
            bits = ["bit-equal" if same else "NOT EQUAL" for same in (whole, seen["resumed"])]
            rows.append((name, str(layout["gpus_per_node"]), *(f"{x:.1e}" for x in (loss, norm, packed)), *bits))
            print(name, *rows[-1][1:], file=sys.stderr, flush=True)
    print("\n".join(table(rows)))
    sys.exit(not good)


if __name__ == "__main__":
    main()
