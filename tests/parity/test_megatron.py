"""Our Megatron trainer against transformers, against itself in another layout, and against itself after a kill.

Tiny random models; every start of torchrun serves several checks.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from large_sft import megatron_cpu
from large_sft.megatron_train import Job
from large_sft.weights import Weights
from polaris import child, manifest
from polaris.records import TOKENS, write_rows
from polaris.tiny_tokenizer import build_tokenizer

STEPS = 5
VOCABULARY = 512
SETTINGS = {
    "epochs": 1.0,
    "batch_tokens": 512,
    "pack_tokens": 128,
    "learning_rate": 1e-3,
    "min_learning_rate": 1e-4,
    "warmup": 0.25,
    "weight_decay": 0.1,
    "betas": [0.9, 0.95],
    "grad_clip": 1.0,
    "aux_loss": 0.001,
    "precision": "fp32",
    "recompute": "none",
    "save_every": 2,
    "shard_gb": 0.0003,
    "limit": 300,
    "seed": 1,
}
ONE = {"processes": 1, "nodes": 1, "tensor": 1, "pipeline": 1, "expert": 1, "expert_tensor": 1, "context": 1}
EP2 = {**ONE, "processes": 2, "expert": 2}


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


def published(folder: Path, name: str) -> Path:
    files = {str(p.relative_to(folder)): {"size": p.stat().st_size, "xxh3": ""} for p in folder.rglob("*.*")}
    path = folder / name
    empty = {"settings": {}, "inputs": {}, "tools": {}, "steps": {}, "metrics": {}}
    values = {"stage": folder.name, "module": "test", "files": files, "code": "", "seconds": 0.0, **empty}
    manifest.write(manifest.Manifest(path=path, **values))
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Manifests of the start and the data."""
    folder = tmp_path_factory.mktemp("megatron")
    tiny(folder / "base" / "model", experts=8, tied=False)
    tiny(folder / "dense" / "model", experts=0, tied=True)
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 100, 33)
    rows = [
        {
            "problem_id": str(i),
            "input_ids": rng.integers(0, VOCABULARY, n).tolist(),
            "prompt_tokens": int(rng.integers(1, n - 5)),
        }
        for i, n in enumerate(lengths)
    ]
    (folder / "data").mkdir()
    write_rows(folder / "data" / "tokens.parquet", rows, TOKENS)
    ids = torch.from_numpy(rng.integers(0, VOCABULARY, (3, 40)))
    for name in ("base", "dense"):
        save_file({"ids": ids}, folder / name / "prompts.safetensors")
    published(folder / "base", "checkpoint.json")
    published(folder / "data", "data.json")
    return folder


def checks(inputs: Path, name: str, layout: dict, *models: Path, **settings) -> list[dict]:
    """Run megatron_checks.py in `layout`; the metrics of its steps."""
    out = inputs / name
    out.mkdir()
    values = {
        "settings": {**SETTINGS, **settings, "layout": layout},
        "start": str(inputs / "base" / "model"),
        "tokens": str(inputs / "data" / "tokens.parquet"),
        "state": str(out),
        "out": str(out / "model"),
        "metrics": str(out / "metrics.jsonl"),
    }
    assert set(values) == set(Job.__dataclass_fields__)
    job = out / "job.json"
    job.write_text(json.dumps(values))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command += ["--nproc-per-node", str(layout["processes"]), str(Path(__file__).with_name("megatron_checks.py"))]
    environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    child.run([*command, str(job), "3", *map(str, models)], out / "log", environment, limit=300)
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def one(inputs):
    """One process: three steps, and a look at both models."""
    return checks(inputs, "one", ONE, inputs / "base" / "model", inputs / "dense" / "model")


@pytest.fixture(scope="module")
def two(inputs):
    """Experts on two processes, with everything recomputed in the backward pass."""
    return checks(inputs, "two", EP2, recompute="full")


def same_weights(one: Path, other: Path) -> bool:
    a, b = Weights(one, "pt"), Weights(other, "pt")
    return a.names == b.names and all(torch.equal(a.slice(n)[:], b.slice(n)[:]) for n in a.names)


def test_every_patch_of_the_cpu_shim_is_still_needed():
    assert megatron_cpu.stale() == []


@pytest.mark.parametrize("name", ["base", "dense"])
def test_logits_are_those_of_transformers(inputs, one, name):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(inputs / name / "model", dtype=torch.float32)
    ids = load_file(inputs / name / "prompts.safetensors")["ids"][:1]
    with torch.no_grad():
        expected = model(ids).logits
    found = load_file(inputs / name / "model" / "seen.safetensors")["logits"]
    assert expected.abs().max() > 1
    assert (found - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("name", ["base", "dense"])
def test_a_pack_has_the_loss_of_its_traces_one_by_one(inputs, one, name):
    seen = load_file(inputs / name / "model" / "seen.safetensors")
    assert seen["counts"].tolist() == [3 * 40 - (3 + 8 + 13)] * 2
    assert seen["packed"].item() == pytest.approx(seen["single"].item(), rel=1e-6)


def test_weights_survive_the_round_trip(inputs, one, two):
    start = inputs / "base" / "model"
    for again in (start / "again", inputs / "one" / "model", inputs / "two" / "model"):
        assert same_weights(start, again), again
        assert (again / "config.json").read_bytes() == (start / "config.json").read_bytes()
        assert max(shard.stat().st_size for shard in again.glob("*.safetensors")) < 0.32e6
    assert same_weights(inputs / "dense" / "model", inputs / "dense" / "model" / "again")
    assert len(list((inputs / "two" / "model").glob("model-00001-*.safetensors"))) > 1


def test_experts_on_two_processes_train_as_on_one(one, two):
    assert [step["step"] for step in one] == [1, 2, 3]
    for a, b in zip(one, two, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-6)
        assert (a["learning_rate"], a["loss_tokens"]) == (b["learning_rate"], b["loss_tokens"])
    assert one[0]["learning_rate"] == SETTINGS["learning_rate"]


def command(inputs: Path, name: str) -> list[str]:
    settings = json.dumps({**SETTINGS, "layout": EP2})
    flags = [
        "--settings",
        settings,
        "--start",
        inputs / "base" / "checkpoint.json",
        "--data",
        inputs / "data" / "data.json",
    ]
    return [
        sys.executable,
        "-m",
        "large_sft.train_sft",
        *map(str, flags),
        "--out",
        str(inputs / name / "checkpoint.json"),
    ]


def gate(inputs: Path, name: str, layout: dict, **settings) -> list[str]:
    """The command of the conversion gate."""
    placed = {key: SETTINGS[key] for key in ("pack_tokens", "aux_loss", "precision", "recompute", "limit", "seed")}
    asked = {"prompts": ["a=6. Find (a).", "<think>\nWhy?\n</think>\n\n6"], "tolerance": 1e-5}
    section = {**placed, "layout": layout, "gate": asked, **settings}
    flags = ["--settings", json.dumps(section), "--start", str(inputs / "base" / "checkpoint.json")]
    return [sys.executable, "-m", "large_sft.check_conversion", *flags, "--out", str(inputs / name / "data.json")]


def test_the_gate_lets_an_unchanged_model_through(inputs):
    build_tokenizer().save_pretrained(inputs / "base" / "model")
    subprocess.run(gate(inputs, "gate", {**EP2, "tensor": 2}), check=True)
    done = manifest.read(inputs / "gate" / "data.json")
    base = Weights(inputs / "base" / "model", "pt")
    tensors = json.loads(done.file("tensors.json").read_text())
    assert set(tensors) == base.names and done.metrics["tensors"] == len(base.names)
    assert 0 < done.metrics["logit_difference"] <= 1e-5 and done.metrics["largest_logit"] > 1


def test_the_gate_stops_a_model_that_the_precision_cannot_hold(inputs):
    build_tokenizer().save_pretrained(inputs / "base" / "model")
    out = subprocess.run(gate(inputs, "narrow", EP2, precision="bf16"), capture_output=True, text=True, check=False)
    assert out.returncode == 1 and "tensors come back from Megatron with other bytes than they went in" in out.stderr
    assert not (inputs / "narrow" / "data.json").exists()


def test_a_killed_training_goes_on_to_the_same_weights(inputs, two):
    whole, broken = inputs / "whole", inputs / "broken"
    subprocess.run(command(inputs, "whole"), check=True)
    process = subprocess.Popen(command(inputs, "broken"))
    while not (found := list(broken.glob("state/*/step-*/complete.json"))):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert "step-000002" in {path.parent.name for path in found}  # on a slow machine a later one may be there, too
    assert not (broken / "checkpoint.json").exists()
    subprocess.run(command(inputs, "broken"), check=True)

    a, b = (manifest.read(folder / "checkpoint.json") for folder in (whole, broken))
    assert a.steps == b.steps == {"planned": STEPS, "reached": STEPS}
    assert same_weights(a.model, b.model) and not same_weights(a.model, inputs / "base" / "model")
    assert a.content == b.content
    lines = [[json.loads(line) for line in m.file("log/metrics.jsonl").read_text().splitlines()] for m in (a, b)]
    for line in itertools.chain(*lines):
        del line["seconds"]
    assert lines[0] == lines[1]
    log = (broken / "log" / "torchrun.log").read_text()
    assert log.count('{"step": 1,') == 1 and log.count(f'{{"step": {STEPS},') == 1
