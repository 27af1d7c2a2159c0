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
from tests.helpers.engine_process import engine_python
from tests.helpers.stages import forked_ranks, publish

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
TP2 = {**TWO, "tensor": 2, "expert_tensor": 2}
PP2 = {**TWO, "pipeline": 2}
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
# folder -> (model_type, what else its config.json says): a mixture, and the dense models
MODELS = {
    "base": (
        "qwen3_moe",
        {"moe_intermediate_size": 48, "num_experts": 8, "num_experts_per_tok": 2, "norm_topk_prob": True},
    ),
    "dense": ("qwen3", {"tie_word_embeddings": True}),
    "qwen2": ("qwen2", {}),
    "llama": (
        "llama",
        {
            "tie_word_embeddings": True,
            "max_position_embeddings": 32768,
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
            },
        },
    ),
}  # fmt: skip
# name -> (layout, other settings, data, model); a row is compared with the first one on the same data and model.
ROWS = {
    "W1": (ONE, {}, "data", "base"),
    "W1, loss in chunks of 48 tokens": (ONE, {"loss_chunk": 48}, "data", "base"),
    "DP2": (TWO, {}, "data", "base"),
    "EP2": (EP2, {}, "data", "base"),
    "EP2, all recomputed, reshardable": (EP2, {"recompute": "full", "reshardable": True}, "data", "base"),
    "TP2 + EP2": (TP2_EP2, {}, "data", "base"),
    "TP2 + EP2, loss in chunks of 48 tokens": (TP2_EP2, {"loss_chunk": 48}, "data", "base"),
    "TP2 + ETP2": (TP2, {}, "data", "base"),
    "PP2": (PP2, {}, "data", "base"),
    "PP2, layers 1 + 3": ({**PP2, "first_layers": 1}, {}, "data", "base"),
    "PP2 + VPP2": (PP2_VPP2, {}, "data", "base"),
    "CP2 packed": (CP2, {}, "data", "base"),
    "EP2 x CP2": ({**FOUR, "expert": 2, "context": 2}, {}, "data", "base"),
    "EP2 x PP2": ({**FOUR, "expert": 2, "pipeline": 2}, {}, "data", "base"),
    "W1, one trace a pack": (ONE, {}, "long", "base"),
    "CP2, one trace a pack": (CP2, {}, "long", "base"),
    **{
        f"{name}: {row}": (layout, {}, "data", model)
        for name, model in (("Qwen3, tied", "dense"), ("Qwen2.5", "qwen2"), ("Llama 3, tied", "llama"))
        for row, layout in (("W1", ONE), ("DP2", TWO), ("TP2", TP2), ("PP2 + VPP2", PP2_VPP2), ("CP2", CP2))
    },
}  # fmt: skip


def tiny(folder: Path, kind: str, more: dict) -> Path:
    """A random model of that model_type, far enough from its initial values that every weight matters."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    }
    own_width = {} if kind == "qwen2" else {"head_dim": 32}  # Qwen2.5's follows from the others
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes | own_width | more))
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
    """The models with prompts, and two sets of traces: several, and one to a pack."""
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, VOCABULARY, (3, 40)))
    for name, (kind, more) in MODELS.items():
        tiny(folder / name / "model", kind, more)
        save_file({"ids": ids}, folder / name / "prompts.safetensors")
    publish(folder / "base")
    traces(folder / "data", 5, 25)
    traces(folder / "long", 17, 32)


def checks(
    inputs: Path, out: Path, layout: dict, *models: Path, data: str = "data", model: str = "base", **settings
) -> list[dict]:
    """Run megatron_checks.py with `model` in `layout`, going on from a checkpoint in `out`; the metrics of its steps.

    models: the models that are looked at besides
    """
    out.mkdir(exist_ok=True)
    section = Sft.model_validate({**SETTINGS, **settings, "layout": layout})
    start, tokens = inputs / model / "model", inputs / data / "tokens.parquet"
    packs_SK = planned_packs(start, read_traces(tokens), section)
    paths = {"start": start, "tokens": tokens, "state": out, "out": out / "model", "metrics": out / "metrics.jsonl"}
    TrainingJob(settings=section, packs_SK=packs_SK, **paths).write(job := out / "job.json")
    # With Slurm's warning blocked, as in a stage: threads that are there already would not block it.
    command = [*forked_ranks(), engine_python(), "-m", "large_sft.training.torchrun_node"]
    command += ["--standalone", "--local-addr", "127.0.0.1"]
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
        for number, (name, (layout, settings, data, model)) in enumerate(ROWS.items()):
            if sys.argv[1:] and name not in sys.argv and (data, model) in first:
                continue
            out = inputs / f"row{number}"
            found = checks(inputs, out, layout, data=data, model=model, **settings)
            loss, norm = differences(first.setdefault((data, model), found), found)
            seen = json.loads((out / "seen.json").read_text())
            packed = abs(seen["packed"] / seen["single"] - 1)
            whole = same_weights(inputs / model / "model", out / "model")
            good &= max(loss, norm, packed) <= 1e-6 and whole and seen["resumed"]
            bits = ["bit-equal" if same else "NOT EQUAL" for same in (whole, seen["resumed"])]
            rows.append((name, str(layout["gpus_per_node"]), *(f"{x:.1e}" for x in (loss, norm, packed)), *bits))
            print(name, *rows[-1][1:], file=sys.stderr, flush=True)
    print("\n".join(table(rows)))
    sys.exit(not good)


if __name__ == "__main__":
    main()
