"""The generalist's training on one GPU: a random mixture of 2.5 B parameters in bfloat16, stopped, resumed and
exported.

With megatron-core's own modules (`transformer_impl: local`), which need no Transformer Engine.
"""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from large_sft.model.weights import Weights
from large_sft.settings import Sft
from polaris.hardware import memory, shapes
from polaris.hardware.memory import TIGHT
from polaris.stage.records import TOKENS, write_rows
from tests.gpu.random_models import CONFIG, TINY, random_model
from tests.helpers import stages

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = {"gpus_per_node": 1, "nodes": 1, "tensor": 1, "pipeline": 1, "expert": 1, "expert_tensor": 1, "context": 1,
          "virtual_pipeline": 1, "first_layers": None, "last_layers": None}  # fmt: skip
SETTINGS = {
    "device": "cuda", "transformer_impl": "local", "dispatcher": "alltoall", "seq_length": 32768, "aux_loss": 0.001,
    "precision": "bf16",
    "recompute": "full", "layout": LAYOUT, "timeout": 300.0, "seed": 1, "epochs": 1.0, "batch_tokens": 32768,
    "learning_rate": 1e-4, "min_learning_rate": 1e-5, "warmup": 0.1, "weight_decay": 0.1, "betas": [0.9, 0.95],
    "grad_clip": 1.0, "loss_chunk": 4096, "save_every": 1000, "reshardable": False, "shard_gb": 4.0,
}  # fmt: skip


def random_traces(folder: Path, vocabulary: int, pack: int) -> tuple[Path, list[int]]:
    """40 traces of a 16th to a half of a pack, of a few tokens of the vocabulary; the manifest, and their lengths."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lengths = rng.integers(pack // 16, pack // 2, 40).tolist()
    rows = [
        {"problem_id": str(i), "input_ids": rng.integers(0, vocabulary // 64, length).tolist(), "prompt_tokens": 5}
        for i, length in enumerate(lengths)
    ]
    write_rows(folder / "tokens.parquet", rows, TOKENS)
    return stages.publish(folder, "data.json"), lengths


def command(folder: Path, settings: dict, start: Path, data: Path) -> list[str]:
    out = folder / "trained/checkpoint.json"
    return stages.command("large_sft.training.train_sft", settings, out, start=start, data=data)


def stopped_after_a_step(line: list[str], metrics: Path) -> str:
    """Start it, ask it to stop once a step is done; what it said."""
    run = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while run.poll() is None and time.monotonic() < deadline and not (metrics.exists() and metrics.read_text()):
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    return run.communicate(timeout=240)[1]


def lines(metrics: Path) -> list[dict]:
    return [json.loads(line) for line in metrics.read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(gpu, scratch, figures):
    """The folder of the mixture that was trained in two launches."""
    pytest.importorskip("megatron.core", reason="megatron-core is not installed here")
    start = random_model(scratch / "mixture", CONFIG, "cuda")
    data, lengths = random_traces(scratch / "traces", CONFIG["vocab_size"], SETTINGS["seq_length"])
    line, metrics = command(scratch, SETTINGS, start, data), scratch / "trained/log/metrics.jsonl"
    said = stopped_after_a_step(line, metrics)
    assert "which is saved; the same command goes on from there" in said, said[-3000:]
    first = len(lines(metrics))
    done = subprocess.run(line, check=False, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    steps = lines(metrics)
    assert 1 <= first < len(steps) and [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    shape, late = shapes.from_config(CONFIG, "here"), steps[first + 1 :]  # the first step of a launch is slower
    rate = sum(step["tokens"] for step in late) / sum(step["seconds"] for step in late)
    flops = 3 * shape.forward_flops(float(np.average(lengths, weights=lengths)))
    parts = memory.megatron(shape, memory.Ranks(1, 1, 1, 1, 1, 1), 32768, "full", loss_chunk=4096)
    figures["mixture"] = {
        "parameters": shape.parameters, "steps": len(steps), "stopped after": first, "tokens/s": round(rate),
        "model TFLOP/s": round(flops * rate / 1e12, 1), "loss": [steps[0]["loss"], steps[-1]["loss"]],
        "planned GiB": {name: round(size / memory.GIB, 1) for name, size in parts.items()},
        "planned GiB in all": round(memory.total(parts) / memory.GIB, 1),
        "measured GiB": max(step["gpu_gib"] for step in steps),
    }  # fmt: skip
    return scratch / "trained", start


def test_it_learns_and_is_exported_as_it_came(trained):
    folder, start = trained
    steps = lines(folder / "log/metrics.jsonl")
    assert steps[-1]["loss"] < steps[0]["loss"] and all(np.isfinite(step["grad_norm"]) for step in steps)
    before, after = Weights(start.parent / "model", "pt"), Weights(folder / "model", "pt")
    assert before.names == after.names and all(before.shape(name) == after.shape(name) for name in before.names)
    moved = "model.layers.0.mlp.experts.0.up_proj.weight"
    assert not (before.slice(moved)[:] == after.slice(moved)[:]).all()


def test_the_plan_holds(trained, figures):
    """A GPU's memory as the trainer needs it, torch's fragments included, is the planned sum within the plan's own
    margin.
    """
    seen = figures["mixture"]
    assert 0.6 * seen["planned GiB in all"] < seen["measured GiB"] <= seen["planned GiB in all"] / TIGHT


def test_a_recipe_on_the_cpu_leaves_the_card_alone(gpu, tmp_path):
    """`device: cpu` beside a card: the same trainer, and no process of it on the GPU."""
    pytest.importorskip("megatron.core", reason="megatron-core is not installed here")
    settings = SETTINGS | {
        "device": "cpu",
        "precision": "fp32",
        "seq_length": 256,
        "batch_tokens": 512,
        "loss_chunk": None,
    }
    Sft.model_validate(settings)
    start = random_model(tmp_path / "tiny", TINY, "cpu")
    data, _ = random_traces(tmp_path / "traces", TINY["vocab_size"], 256)
    done = subprocess.run(
        command(tmp_path, settings, start, data), check=False, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    steps = lines(tmp_path / "trained/log/metrics.jsonl")
    assert all(np.isfinite(step["loss"]) and "gpu_gib" not in step for step in steps)
