"""Resumable checkpoints of a training: weights, optimizer, scheduler, random numbers and the position in the data.

`step-000040/` is complete because it bears that name: it is written as `step-000040.partial/` and renamed after every
process has finished and `complete.json` is in it. Only the newest complete one is kept.
"""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from megatron.core import dist_checkpointing
from megatron.core.dist_checkpointing.mapping import ShardedObject
from megatron.core.optimizer import USING_PYTORCH_OPTIMIZER, MegatronOptimizer
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from megatron.core.tensor_parallel.random import get_cuda_rng_tracker

from polaris.errors import UserError
from polaris.manifest import replace_file, sync_folder

# Without this the distributed optimizer hands out flattened ranges, which dist_checkpointing 0.16.1 refuses (mapping.py:134).
METADATA = {
    "distrib_optim_sharding_type": "dp_reshardable",
    "singleton_local_shards": True,
    "chained_optim_avoid_prefix": True,
}
COMPLETE = "complete.json"


@dataclass
class Training:
    """What a checkpoint holds. `data`: digest of the plan of packs, so that no other data is continued with."""

    model: torch.nn.Module
    optimizer: MegatronOptimizer
    scheduler: OptimizerParamScheduler
    data: str


def newest(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`."""
    found = sorted(path.parent for path in folder.glob(f"step-*/{COMPLETE}") if path.parent.suffix != ".partial")
    return found[-1] if found else None


def save(folder: Path, step: int, training: Training) -> None:
    """Write the checkpoint after `step` and remove what it replaces. All processes call this together."""
    final = folder / f"step-{step:06d}"
    partial = final.with_suffix(".partial")
    if dist.get_rank() == 0:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    dist.barrier()
    state = _sharded(training, is_loading=False)
    state |= {"step": step, "scheduler": training.scheduler.state_dict(), "data": training.data}
    dist_checkpointing.save(state, str(partial), content_metadata=METADATA)
    dist.barrier()
    if dist.get_rank() == 0:
        replace_file(partial / COMPLETE, json.dumps({"step": step, "data": training.data}) + "\n")
        partial.rename(final)
        sync_folder(folder)
        for old in folder.glob("step-*"):
            if old != final:
                shutil.rmtree(old)


@torch.no_grad()
def load(checkpoint: Path, training: Training) -> int:
    """Restore everything in place; returns the step reached. Raises UserError for another plan of packs."""
    if json.loads((checkpoint / COMPLETE).read_text())["data"] != training.data:
        raise UserError(f"{checkpoint}: it belongs to other data or another batch size; remove it to start again")
    if USING_PYTORCH_OPTIMIZER:
        _allocate_adam_state(training.optimizer)
    state = dist_checkpointing.load(_sharded(training, is_loading=True), str(checkpoint))
    result = training.model.load_state_dict(state["model"], strict=False)
    # Only the unused extra state of Transformer Engine's modules may be absent.
    absent = [key for key in (result.missing_keys + result.unexpected_keys if result else []) if "_extra" not in key]
    if absent:
        raise RuntimeError(f"{checkpoint}: weights do not match: {absent[:5]}")
    training.optimizer.load_state_dict(state["optimizer"])
    if USING_PYTORCH_OPTIMIZER:
        _restore_adam_steps(training.optimizer)
    training.scheduler.load_state_dict(state["scheduler"])
    _set_random_state(state["random"])
    return state["step"]


def _sharded(training: Training, is_loading: bool) -> dict[str, Any]:
    state: dict[str, Any] = {"model": training.model.sharded_state_dict(metadata=METADATA)}
    # The optimizer reads the model's entries to find its own, and must not add to them.
    state["optimizer"] = training.optimizer.sharded_state_dict(dict(state), is_loading=is_loading, metadata=METADATA)
    random_state = None if is_loading else _random_state()
    state["random"] = ShardedObject("random", random_state, (dist.get_world_size(),), (dist.get_rank(),))
    return state


def _random_state() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "device": torch.cuda.get_rng_state(),
        "tracker": get_cuda_rng_tracker().get_states(),
    }


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    torch.cuda.set_rng_state(state["device"])
    get_cuda_rng_tracker().set_states(state["tracker"])


def _torch_optimizers(optimizer: MegatronOptimizer) -> list[torch.optim.Optimizer]:
    """The plain optimizers inside: a mixture with expert parallelism has a second one for the experts."""
    chained = getattr(optimizer, "chained_optimizers", [optimizer])
    return [part.optimizer for part in chained if part.optimizer is not None]


def _allocate_adam_state(optimizer: MegatronOptimizer) -> None:
    """torch's AdamW has no state before its first step; distrib_optimizer.py:642 of 0.16.1 asserts that it has."""
    for plain in _torch_optimizers(optimizer):
        for group in plain.param_groups:
            for parameter in group["params"]:
                if not plain.state[parameter]:
                    plain.state[parameter] = {
                        "step": torch.tensor(0.0),
                        "exp_avg": torch.zeros_like(parameter),
                        "exp_avg_sq": torch.zeros_like(parameter),
                    }


def _restore_adam_steps(optimizer: MegatronOptimizer) -> None:
    """0.16.1 loses torch AdamW's step counters: they are loaded into the groups, while the state keeps zeros that all
    parameters share (distrib_optimizer.py:818-825), so that the bias correction would start again, silently."""
    for plain in _torch_optimizers(optimizer):
        for group in plain.param_groups:
            for parameter in group["params"]:
                plain.state[parameter]["step"] = torch.tensor(float(group["step"]))
