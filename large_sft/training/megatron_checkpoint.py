"""Resumable checkpoints of a training: weights, optimizer, scheduler, random numbers and the position in the data.

`step-000040/` is complete because it bears that name: it is written as `step-000040.partial/` and renamed after every
process has finished and `complete.json` is in it. Only the newest complete one is kept.
"""

import json
import multiprocessing
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from megatron.core import dist_checkpointing
from megatron.core.dist_checkpointing.mapping import ShardedObject
from megatron.core.dist_checkpointing.strategies import filesystem_async
from megatron.core.dist_checkpointing.strategies.async_utils import AsyncCallsQueue
from megatron.core.optimizer import USING_PYTORCH_OPTIMIZER, MegatronOptimizer
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from megatron.core.tensor_parallel.random import get_cuda_rng_tracker

from large_sft.model.layout import is_same_layout
from large_sft.settings import Sft
from large_sft.training.rank import die_with_parent
from polaris.stage.manifest import replace_file, sync_folder

COMPLETE = "complete.json"


@dataclass
class Training:
    """What a checkpoint holds.

    chunks: a GPTModel, wrapped by megatron-core, per chunk of layers; data: digest of the plan of packs, so that no
    other data is continued with
    """

    chunks: Sequence[Any]
    optimizer: MegatronOptimizer
    scheduler: OptimizerParamScheduler
    data: str
    settings: Sft


def newest(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`."""
    complete = sorted(path.parent for path in folder.glob(f"step-*/{COMPLETE}") if path.parent.suffix != ".partial")
    return complete[-1] if complete else None


class Saver:
    """Writes checkpoints while the training goes on. All processes call each method together.

    A forked process of each rank writes what `save` has laid aside; the checkpoint gets its name once all have
    finished, which `poll` and `wait` find out.
    """

    def __init__(self, folder: Path, training: Training):
        self.folder, self.training, self.queue = folder, training, AsyncCallsQueue()
        self.began = 0.0  # the checkpoint under way, by time.monotonic()
        # The process of this queue, as megatron-core would start it, outlives a killed rank, and with it the rank's
        # output stays open: the verb would wait for ever.
        self.manager = SyncManager(ctx=multiprocessing.get_context("spawn"))
        self.manager.start(die_with_parent)
        filesystem_async._results_queue = self.manager.Queue()

    def save(self, step: int) -> None:
        """Begin the checkpoint after `step`, when the one before is whole."""
        self.wait()
        self.began = time.monotonic()
        partial = self.folder / f"step-{step:06d}.partial"
        if dist.get_rank() == 0:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
        dist.barrier()
        metadata = _metadata(self.training.settings.reshardable)
        state = _sharded(self.training, metadata, is_loading=False)
        state |= {"step": step, "scheduler": self.training.scheduler.state_dict()}
        state |= {"random": _random_object(_random_state())}
        request: Any = dist_checkpointing.save(state, str(partial), content_metadata=metadata, async_sharded_save=True)
        request.add_finalize_fn(lambda: self._name(partial))
        self.queue.schedule_async_request(request)

    def poll(self) -> None:
        """Give a checkpoint its name if it is whole by now. Raises CheckpointingException where it could not be
        written.
        """
        self.queue.maybe_finalize_async_calls(blocking=False)

    def wait(self) -> None:
        """`poll` when it is whole."""
        self.queue.maybe_finalize_async_calls(blocking=True)

    def _name(self, partial: Path) -> None:
        """Rename the complete checkpoint and remove what it replaces."""
        if dist.get_rank():
            return
        settings, final = self.training.settings, partial.with_suffix("")
        saved = {
            "data": self.training.data,
            "layout": settings.layout.model_dump(),
            "reshardable": settings.reshardable,
        }
        replace_file(partial / COMPLETE, json.dumps(saved) + "\n")
        partial.rename(final)
        sync_folder(self.folder)
        for old in self.folder.glob("step-*"):
            if old != final:
                shutil.rmtree(old)
        print(json.dumps({"saved": final.name, "seconds": round(time.monotonic() - self.began, 1)}), flush=True)


@torch.no_grad()
def load(checkpoint: Path, training: Training) -> int:
    """Restore everything in place; returns the step reached. Raises UserError as `layout.is_same_layout`.

    In another layout everything but the random numbers, which the training uses for nothing.
    """
    saved = json.loads((checkpoint / COMPLETE).read_text())
    same = is_same_layout(saved, training.data, training.settings.layout, checkpoint)
    if USING_PYTORCH_OPTIMIZER:
        _allocate_adam_state(training.optimizer)
        _supply_adam_steps(training.optimizer)
    wanted = _sharded(training, _metadata(saved["reshardable"]), is_loading=True)
    if same:
        wanted["random"] = _random_object(None)
    state: Any = dist_checkpointing.load(wanted, str(checkpoint))
    for number, chunk in enumerate(training.chunks):
        result = chunk.load_state_dict(state[f"model{number}"], strict=False)
        # Only the unused extra state of Transformer Engine's modules may be absent.
        absent = [
            key for key in (result.missing_keys + result.unexpected_keys if result else []) if "_extra" not in key
        ]
        if absent:
            raise RuntimeError(f"{checkpoint}: weights do not match: {absent[:5]}")
    training.optimizer.load_state_dict(state["optimizer"])
    if USING_PYTORCH_OPTIMIZER:
        _restore_adam_steps(training.optimizer)
    training.scheduler.load_state_dict(state["scheduler"])
    if same:
        _set_random_state(state["random"])
    return state["step"]


def _metadata(reshardable: bool) -> dict[str, Any]:
    """How the optimizer is written: each rank its own part, or tensors of the model that any layout can cut.

    Without it the distributed optimizer hands out flattened ranges, which dist_checkpointing 0.16.1 refuses
    (mapping.py:134).
    """
    return {
        "distrib_optim_sharding_type": "fully_reshardable" if reshardable else "dp_reshardable",
        "singleton_local_shards": True,
        "chained_optim_avoid_prefix": True,
    }


def _sharded(training: Training, metadata: dict[str, Any], is_loading: bool) -> dict[str, Any]:
    models = {f"model{i}": chunk.sharded_state_dict(metadata=metadata) for i, chunk in enumerate(training.chunks)}
    # The optimizer reads the models' entries to find its own, and must not add to them.
    optimizer = training.optimizer.sharded_state_dict(dict(models), is_loading=is_loading, metadata=metadata)
    return {**models, "optimizer": optimizer}


def _random_object(state: dict[str, Any] | None) -> ShardedObject:
    return ShardedObject("random", state, (dist.get_world_size(),), (dist.get_rank(),))


def _random_state() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "device": torch.cuda.get_rng_state(),
        "tracker": _tracker().get_states(),
    }


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    torch.cuda.set_rng_state(state["device"])
    _tracker().set_states(state["tracker"])


def _tracker() -> Any:
    """megatron-core's random number generators by name; none of the package's types says that it is always there."""
    return get_cuda_rng_tracker()


def _optimizers(optimizer: MegatronOptimizer) -> list[Any]:
    """The optimizers inside: a mixture with expert parallelism has a second one for the experts."""
    chained = getattr(optimizer, "chained_optimizers", [optimizer])
    return [part for part in chained if part.optimizer is not None]


def _allocate_adam_state(optimizer: MegatronOptimizer) -> None:
    """torch's AdamW has no state before its first step; distrib_optimizer.py:642 of 0.16.1 asserts that it has."""
    for plain in (part.optimizer for part in _optimizers(optimizer)):
        for group in plain.param_groups:
            for parameter in group["params"]:
                if not plain.state[parameter]:
                    plain.state[parameter] = {
                        "step": torch.tensor(0.0),
                        "exp_avg": torch.zeros_like(parameter),
                        "exp_avg_sq": torch.zeros_like(parameter),
                    }


def _supply_adam_steps(optimizer: MegatronOptimizer) -> None:
    """Reshardable checkpoints of 0.16.1 hold no step, which torch's AdamW has (distrib_optimizer.py:940, KeyError).

    A zero is put in its place, for `_restore_adam_steps` sets all of them after the load.
    """
    for part in _optimizers(optimizer):
        put = part._set_main_param_and_optimizer_states
        part._set_main_param_and_optimizer_states = lambda parameter, tensors, put=put: put(
            parameter, {"step": torch.zeros(()), **tensors}
        )


def _restore_adam_steps(optimizer: MegatronOptimizer) -> None:
    """0.16.1 loses torch AdamW's step counters: they are loaded into the groups, while the state keeps zeros that all
    parameters share (distrib_optimizer.py:818-825), so that the bias correction would start again, silently."""
    for plain in (part.optimizer for part in _optimizers(optimizer)):
        for group in plain.param_groups:
            for parameter in group["params"]:
                plain.state[parameter]["step"] = torch.tensor(float(group["step"]))
