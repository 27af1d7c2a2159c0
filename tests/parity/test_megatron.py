"""Our Megatron trainer against transformers, against itself in another layout, and against itself after a kill.

Tiny random models; every start of torchrun serves several checks.
"""

import contextlib
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from large_sft.model.weights import Weights
from large_sft.settings import Placed
from large_sft.training import megatron_cpu
from polaris.models.tiny_tokenizer import build_tokenizer
from polaris.stage import manifest
from tests.helpers import stages
from tests.parity.megatron_layouts import (
    CP2,
    EP2,
    MODELS,
    ONE,
    PP2_VPP2,
    SETTINGS,
    TP2_EP2,
    checks,
    differences,
    make_inputs,
    same_weights,
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The folder with the manifests of start and data; a layout's checks leave their results in a folder beside
    them.
    """
    folder = tmp_path_factory.mktemp("megatron")
    make_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def one(inputs):
    """One process: three steps of the mixture, and a look at every model."""
    return checks(inputs, inputs / "one", ONE, *(inputs / name / "model" for name in MODELS))


# The cheap half of megatron_layouts.ROWS: what the others are made of.
LAYOUTS = {
    "experts": (EP2, {"recompute": "full", "loss_chunk": 48, "reshardable": True}),
    "context": (CP2, {}),
    "chunks": (PP2_VPP2, {}),
}


@pytest.fixture(scope="module")
def laid_out(inputs):
    """The metrics of the layouts' steps."""
    return {name: checks(inputs, inputs / name, layout, **more) for name, (layout, more) in LAYOUTS.items()}


def test_every_patch_of_the_cpu_shim_is_still_needed():
    assert megatron_cpu.stale() == []


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(inputs, one, name):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(inputs / name / "model", dtype=torch.float32)
    ids = load_file(inputs / name / "prompts.safetensors")["ids"][:1]
    with torch.no_grad():
        expected = model(ids).logits
    found = load_file(inputs / name / "model" / "seen.safetensors")["logits"]
    assert expected.abs().max() > 1
    assert (found - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_a_pack_has_the_loss_of_its_traces_one_by_one(inputs, one, name):
    seen = load_file(inputs / name / "model" / "seen.safetensors")
    assert seen["counts"].tolist() == [3 * 40 - (3 + 8 + 13)] * 2
    assert seen["packed"].item() == pytest.approx(seen["single"].item(), rel=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_the_fused_loss_and_activation_are_the_plain_ones_in_chunks_too(inputs, one, name):
    """Not compiled here, and without their gradient; on a GPU torch.compile makes kernels of them."""
    seen = load_file(inputs / name / "model" / "seen.safetensors")
    assert seen["fused"].item() == pytest.approx(seen["packed"].item(), rel=1e-6)


def test_weights_survive_the_round_trip(inputs, one, laid_out):
    start = inputs / "base" / "model"
    for again in (inputs / "one" / "model", *(inputs / name / "model" for name in LAYOUTS)):
        assert same_weights(start, again), again
        assert (again / "config.json").read_bytes() == (start / "config.json").read_bytes()
        assert max(shard.stat().st_size for shard in again.glob("*.safetensors")) < 0.32e6
    for name in MODELS:
        assert same_weights(inputs / name / "model", inputs / name / "model" / "again"), name
    assert len(list((inputs / "experts" / "model").glob("model-00001-*.safetensors"))) > 1


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_trains_as_one_process(inputs, one, laid_out, name):
    assert max(differences(one, laid_out[name])) <= 1e-6
    assert [step["step"] for step in one] == [1, 2, 3]
    assert one[0]["learning_rate"] == SETTINGS["learning_rate"]
    seen = json.loads((inputs / name / "seen.json").read_text())
    assert seen["packed"] == pytest.approx(seen["single"], rel=1e-6)
    assert seen["resumed"] is True, "from its checkpoint it has other weights"


def test_a_reshardable_checkpoint_goes_on_in_another_layout(inputs, one, laid_out):
    """Two steps with the experts on two processes, the third with every tensor on both."""
    again = shutil.copytree(inputs / "experts", inputs / "resharded", ignore=shutil.ignore_patterns("model"))
    found = checks(inputs, again, TP2_EP2, reshardable=True)
    assert found[:2] == laid_out["experts"][:2]
    assert max(differences(one, found)) <= 1e-6


def command(inputs: Path, name: str) -> list[str]:
    settings = {**SETTINGS, "layout": EP2, "epochs": 3.0, "save_every": 5}
    start, data = inputs / "base" / "checkpoint.json", inputs / "data" / "data.json"
    out = inputs / name / "checkpoint.json"
    return stages.command("large_sft.training.train_sft", settings, out, start=start, data=data)


GATE = {"prompts": ["a=6. Find (a).", "<think>\nWhy?\n</think>\n\n6"], "vllm": None, "tolerance": 1e-5}


def gate(inputs: Path, name: str, layout: dict, **settings) -> list[str]:
    """The command of the conversion gate."""
    placed = {name: SETTINGS[name] for name in Placed.model_fields if name in SETTINGS}
    section = {**placed, "layout": layout, "gate": GATE, **settings}
    start, out = inputs / "base" / "checkpoint.json", inputs / name / "data.json"
    return stages.command("large_sft.training.check_conversion", section, out, start=start)


@pytest.mark.parametrize(("name", "layout"), [("gate_tensor", TP2_EP2), ("gate_context", CP2)])
def test_the_gate_lets_an_unchanged_model_through(inputs, name, layout):
    build_tokenizer().save_pretrained(inputs / "base" / "model")
    subprocess.run(gate(inputs, name, layout), check=True)
    done = manifest.read(inputs / name / "data.json")
    base = Weights(inputs / "base" / "model", "pt")
    tensors = json.loads(done.file("tensors.json").read_text())
    assert set(tensors) == base.names and done.metrics["tensors"] == len(base.names)
    assert 0 < done.metrics["logit_difference"] <= 1e-5 and done.metrics["largest_logit"] > 1


def test_the_gate_stops_a_model_that_the_precision_cannot_hold(inputs):
    build_tokenizer().save_pretrained(inputs / "base" / "model")
    out = subprocess.run(gate(inputs, "narrow", EP2, precision="bf16"), capture_output=True, text=True, check=False)
    assert out.returncode == 1 and "tensors come back from Megatron with other bytes than they went in" in out.stderr
    assert not (inputs / "narrow" / "data.json").exists()


def test_the_gate_takes_vllm_where_transformers_cannot_hold_the_model(inputs):
    """Agreement on one model; then vLLM's answers pass for those of a model in which one expert's weight is another."""
    pytest.importorskip("vllm")
    build_tokenizer().save_pretrained(inputs / "base" / "model")
    engine = {"device": "cpu", "dtype": "float32", "max_model_len": 256, "max_num_seqs": 4, "tensor_parallel_size": 1}
    engine |= {"pipeline_parallel_size": 1, "nodes": 1, "kv_cache_dtype": "auto"}
    asked = {
        **GATE,
        "vllm": {**engine, "replicas": 1, "kv_cache_gib": 0.1, "gpu_memory_utilization": None, "yarn": None},
    }
    reference = inputs / "reference" / "data.json"
    settings = {"prompts": asked["prompts"], "vllm": asked["vllm"]}
    start = inputs / "base" / "checkpoint.json"
    subprocess.run(stages.command("large_sft.training.score_prompts", settings, reference, start=start), check=True)

    def passed(name: str, *more: str) -> subprocess.CompletedProcess:
        words = [*gate(inputs, name, EP2, gate=asked), "--reference", str(reference), *more]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    assert passed("gate_vllm").returncode == 0
    metrics = manifest.read(inputs / "gate_vllm" / "data.json").metrics
    assert 0 < metrics["log_prob_difference"] <= metrics["largest_log_prob_difference"] <= 1e-5

    shutil.copytree(inputs / "base", inputs / "changed", ignore=shutil.ignore_patterns("checkpoint.json"))
    shard = next((inputs / "changed" / "model").glob("*.safetensors"))
    tensors = load_file(shard)
    name = next(name for name in sorted(tensors) if ".experts." in name)
    save_file({**tensors, name: tensors[name] * 1.1}, shard, metadata={"format": "pt"})
    changed = stages.publish(inputs / "changed")
    out = passed("gate_other", "--start", str(changed))
    assert out.returncode == 1 and "log-probabilities of another start model" in out.stderr

    forged = json.loads(reference.read_text())
    forged["inputs"]["start"]["content"] = manifest.read(changed).content
    reference.write_text(json.dumps(forged))
    out = passed("gate_changed", "--start", str(changed))
    assert out.returncode == 1 and "from those of vLLM: more than gate.tolerance" in out.stderr


@contextlib.contextmanager
def started(inputs: Path, name: str, lines: int) -> Iterator[subprocess.Popen]:
    """The training under way, when its log of steps has so many lines. No process of it is forked from another one."""
    metrics = inputs / name / "log" / "metrics.jsonl"
    words = command(inputs, name)
    words = [sys.executable, *words[words.index("-m") :]]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        while not metrics.exists() or len(metrics.read_text().splitlines()) < lines:
            assert process.poll() is None, f"it ended before step {lines}: {process.stderr.read()}"
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def ranks(process: subprocess.Popen) -> dict[int, psutil.Process]:
    """The processes that torchrun, the verb's only child, has started."""
    (torchrun,) = psutil.Process(process.pid).children()
    return {int(rank.environ()["RANK"]): rank for rank in torchrun.children()}


def saving(state: Path, since: float) -> bool:
    """Whether a save has begun to write since then, and not ended."""
    with contextlib.suppress(OSError):
        return any(path.stat().st_ctime >= since for path in state.glob("step-*.partial/*.distcp"))
    return False


def until_saving(process: subprocess.Popen, state: Path, since: float) -> None:
    """Wait until the training writes a checkpoint, and with it the helpers of megatron-core are there."""
    while not saving(state, since):
        assert process.poll() is None, "it ended before its next save"
        time.sleep(0.001)


def stopped_after(printed: str, signal_name: str, planned: int) -> int:
    """The step of the sentence with which the stage ends."""
    return int(re.search(rf"{signal_name}: stopped after step (\d+) of {planned}, which is saved", printed)[1])


def test_a_training_stopped_in_every_way_goes_on_to_the_same_weights(inputs):
    """Asked to stop; a rank killed; all killed while they save. Each time the same command goes on."""
    whole, broken = inputs / "whole", inputs / "broken"
    subprocess.run(command(inputs, "whole"), check=True)
    planned = manifest.read(whole / "checkpoint.json").steps["planned"]

    with started(inputs, "broken", lines=1) as process:
        process.send_signal(signal.SIGTERM)
        printed = process.communicate(timeout=120)[1]
    reached = stopped_after(printed, "SIGTERM", planned)
    (state,) = (path.parent.parent for path in broken.glob(f"state/*/step-{reached:06d}/complete.json"))

    since = time.time()
    with started(inputs, "broken", lines=reached + 1) as process:
        until_saving(process, state, since)
        for child in psutil.Process(process.pid).children(recursive=True):  # as Slurm warns a job's processes
            child.send_signal(signal.SIGUSR1)
        printed = process.communicate(timeout=120)[1]
    reached = stopped_after(printed, "SIGUSR1", planned)

    since = time.time()
    with started(inputs, "broken", lines=reached + 1) as process:
        until_saving(process, state, since)  # the helpers must not hold the dead rank's output open
        started_by_it = psutil.Process(process.pid).children(recursive=True)
        ranks(process)[1].kill()
        printed = process.communicate(timeout=60)[1]
        assert "error: rank 1 was killed by SIGKILL" in printed
    assert not psutil.wait_procs(started_by_it, timeout=20)[1]

    since = time.time()
    with started(inputs, "broken", lines=reached) as process:
        until_saving(process, state, since)
        started_by_it = psutil.Process(process.pid).children(recursive=True)
    assert not psutil.wait_procs(started_by_it, timeout=20)[1]
    assert list(state.glob("step-*.partial"))
    assert not (broken / "checkpoint.json").exists()
    subprocess.run(command(inputs, "broken"), check=True)

    a, b = (manifest.read(folder / "checkpoint.json") for folder in (whole, broken))
    assert a.steps == b.steps == {"planned": planned, "reached": planned}
    assert same_weights(a.model, b.model) and not same_weights(a.model, inputs / "base" / "model")
    assert a.content == b.content
    lines = [[json.loads(line) for line in m.file("log/metrics.jsonl").read_text().splitlines()] for m in (a, b)]
    for line in itertools.chain(*lines):
        del line["seconds"]
    assert lines[0] == lines[1]
