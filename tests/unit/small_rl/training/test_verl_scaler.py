"""The loss scale comes back with the checkpoint, and verl takes our engine for FP16."""

import os
import subprocess
import sys

import pytest

from tests.helpers.verl_stages import NEEDS_VERL

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, NEEDS_VERL]


def trained(scaler: "torch.amp.GradScaler", weight: "torch.nn.Parameter", scales: list[float]) -> None:
    """A step per entry: the gradient is 1, or what the entry says."""
    optimizer = torch.optim.SGD([weight], lr=0.1)
    for grad in scales:
        optimizer.zero_grad()
        scaler.scale((weight * grad).sum()).backward()
        scaler.step(optimizer)
        scaler.update()


def new() -> "torch.amp.GradScaler":
    return torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)


def test_an_interrupted_scale_goes_on_as_if_it_had_not_been(tmp_path):
    from small_rl.training import verl_scaler

    whole, weight = new(), torch.nn.Parameter(torch.ones(2))
    trained(
        whole, weight, [1.0, float("inf"), 1.0, 1.0]
    )  # halved by the overflow, two of three steps to the next growth
    verl_scaler.write(whole, tmp_path)
    again, copy = new(), torch.nn.Parameter(weight.detach().clone())
    verl_scaler.read(again, tmp_path)
    assert again.get_scale() == whole.get_scale() == 512.0
    for scaler, parameter in ((whole, weight), (again, copy)):
        trained(scaler, parameter, [1.0])
    assert again.get_scale() == whole.get_scale() == 1024.0, "the steps since the overflow count on"
    assert torch.equal(weight, copy)


def test_a_scaler_that_is_off_has_nothing_to_save(tmp_path):
    from small_rl.training import verl_scaler

    off = torch.amp.GradScaler("cpu", enabled=False)
    verl_scaler.write(off, tmp_path)
    verl_scaler.read(off, tmp_path)
    assert off.get_scale() == 1.0


def test_verl_takes_the_engine_that_saves_it():
    """In a process of its own, as verl's worker loads it: before, verl's engine; after, ours, for the same keys."""
    script = """
from verl.workers.engine.base import EngineRegistry
import verl.workers.engine.fsdp
before = EngineRegistry.get_engine_cls("language_model", "fsdp2")
import small_rl.training.verl_scaler as ours
print(before.__name__, EngineRegistry.get_engine_cls("language_model", "fsdp2") is ours.ScaledEngine)
"""
    env = {**os.environ, "VERL_PLATFORM": "cpu", "VERL_ENGINE_DEVICE": "cuda"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=False)
    assert done.stdout.split()[-2:] == ["FSDPEngineWithLMHead", "True"], done.stderr[-2000:]
