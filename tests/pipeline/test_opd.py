"""On-policy distillation of a tiny student: its numbers against transformers, and that a kill leaves no trace."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from polaris.models import make_model
from polaris.problems import make_problems
from polaris.stage import manifest
from small_rl.rollouts.store import FOLDER, read_step
from tests.helpers.opd import training
from tests.helpers.stages import command
from tests.helpers.tables import run
from tests.helpers.verb_settings import DENSE, PRETRAINING

LEARNED = PRETRAINING | {"families": {"chain": 1.0}, "batch": 32, "error_rate": 0.0}
STEPS, MINUTES = 3, 10
SIZES = {"steps": STEPS, "prompts_per_step": 4, "group_size": 4, "save_every": 1, "learning_rate": 1e-3}


@dataclass(frozen=True)
class Done:
    inputs: dict[str, Path]
    stage: manifest.Manifest
    metrics: list[dict]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def made(verb, settings: dict, out: Path) -> None:
    run(verb, "--settings", json.dumps(settings), "--out", out)


def opd(inputs: dict[str, Path], out: Path) -> list[str]:
    settings = training(**SIZES).model_dump(mode="json", by_alias=True)
    # vLLM's last bits depend on which requests share a batch, and the student learns from the teacher's.
    settings["distillation"]["engine"]["max_num_seqs"] = 1
    return command("small_rl.distillation.train_opd", settings, out, **inputs)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Done:
    """A teacher that was trained for longer than its student, and a training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("opd")
    problems = {"family": "chain", "count": 32, "depth": [1, 2], "error_rate": 0.0, "pool": "train", "seed": 5}
    inputs = {name: folder / name / "checkpoint.json" for name in ("start", "teacher")}
    for (name, out), steps in zip(inputs.items(), (20, 60), strict=True):
        made(make_model.main, DENSE | {"pretraining": LEARNED | {"steps": steps}}, out)
    inputs["data"] = folder / "problems/data.json"
    made(make_problems.main, problems, inputs["data"])
    out = folder / "student/checkpoint.json"
    ended = subprocess.run(opd(inputs, out), capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return Done(inputs, manifest.read(out), lines(out.parent / "log/metrics.jsonl"))


def test_the_student_is_a_trained_model(done):
    """With so few steps of so small a batch it need not be closer to its teacher: docs/opd.md has what is."""
    assert [line["step"] for line in done.metrics] == list(range(1, STEPS + 1))
    assert all(line["reverse_kl"] > 0 and line["signal"] > 0 and line["grad_norm"] > 0 for line in done.metrics)
    assert done.stage.steps == {"planned": STEPS, "reached": STEPS}
    assert done.stage.inputs.keys() == {"start", "teacher", "data"}
    start = load_file(manifest.read(done.inputs["start"]).file("model/model.safetensors"))
    trained = load_file(done.stage.file("model/model.safetensors"))
    assert start.keys() == trained.keys() and not any(torch.equal(start[name], trained[name]) for name in start)


def test_the_first_steps_numbers_are_those_of_the_models(done):
    """Student and teacher in transformers, on the tokens that the first step sampled."""
    models = {
        name: AutoModelForCausalLM.from_pretrained(manifest.read(done.inputs[name]).model, dtype=torch.float32)
        for name in ("start", "teacher")
    }
    said, prompt = {name: [] for name in models}, None
    for row in read_step(done.stage.folder / "log" / FOLDER, 1):
        prompt = row["prompt"] or prompt  # of a group's first response
        tokens = torch.tensor([[*prompt, *row["response"]]])
        for name, model in models.items():
            with torch.inference_mode():
                log_probs = model(tokens).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            said[name].append(log_probs.gather(-1, tokens[0, len(prompt) :, None])[:, 0])
    student, teacher = (torch.cat(said[name]) for name in ("start", "teacher"))
    first = done.metrics[0]
    assert first["reverse_kl"] == pytest.approx((student - teacher).mean().item(), abs=1e-4)
    assert first["signal"] == pytest.approx((student - teacher).abs().mean().item(), abs=1e-4)
    # k1 as a policy gradient at ratio 1, whose advantages are clamped: the same mean where none reaches the clamp.
    clamp = training().distillation.loss_max_clamp
    assert first["distillation_loss"] == pytest.approx((student - teacher).clamp(-clamp, clamp).mean().item(), abs=1e-4)


def kill_after(step: int, start: list[str], folder: Path) -> None:
    """Start the stage, kill all of it once the step has its line, and wait until nothing of it is left.

    By Python itself: of a stage that was forked this process would not see the children.
    """
    process = subprocess.Popen(
        [sys.executable, *start[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60 * MINUTES
    metrics = folder / "log/metrics.jsonl"
    while (not metrics.exists() or metrics.read_text().count("\n") < step) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before the kill"
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not psutil.wait_procs(children, timeout=60)[1]


def test_killed_it_ends_with_the_same_weights(done, tmp_path):
    """Once: each start loads the student, its engine and the teacher's."""
    out = tmp_path / "student/checkpoint.json"
    start = opd(done.inputs, out)
    kill_after(2, start, out.parent)  # the step before has its checkpoint
    ended = subprocess.run(start, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    assert ended.returncode == 0 and "resumes after step" in ended.stderr, ended.stderr[-3000:]
    ours = load_file(manifest.read(out).file("model/model.safetensors"))
    theirs = load_file(done.stage.file("model/model.safetensors"))
    assert ours.keys() == theirs.keys()
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
