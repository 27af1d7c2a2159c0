"""The process groups of Megatron, and how long a process waits in them for the others."""

import os
import random
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from megatron.core import parallel_state
from megatron.core.tensor_parallel.random import model_parallel_cuda_manual_seed

from large_sft.settings import Placed
from large_sft.training import megatron_model

T = TypeVar("T")
# Within a step no process waits so long for another, so one that does is a hang (torch's own bound for NCCL). Where
# they wait for each other's disks (the start, checkpoints, the export) only the recipe's `timeout` bounds it.
COLLECTIVE = timedelta(minutes=10)


def start_processes(settings: Placed) -> None:
    """Process groups, whose collectives wait as long as `timeout`, and random number generators."""
    layout = settings.layout
    if settings.device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "nccl" if settings.device == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=settings.timeout))
    parallel_state.initialize_model_parallel(
        tensor_model_parallel_size=layout.tensor,
        pipeline_model_parallel_size=layout.pipeline,
        virtual_pipeline_model_parallel_size=megatron_model.chunks_of(settings),
        context_parallel_size=layout.context,
        expert_model_parallel_size=layout.expert,
        expert_tensor_parallel_size=layout.expert_tensor,
        distributed_timeout_minutes=settings.timeout / 60,  # pyright: ignore[reportArgumentType] (of a timedelta)
    )
    random.seed(settings.seed)
    np.random.seed(settings.seed)
    torch.manual_seed(settings.seed)
    model_parallel_cuda_manual_seed(settings.seed)


def bound_waits(longest: timedelta) -> None:
    """How long a process waits in a collective for the others before all of them end. All processes call it
    together.
    """
    parallel_state.update_pg_timeout(longest)


def all_entries(own: dict[str, T]) -> dict[str, T]:
    """The entries of every process, on every process. All processes call it together.

    Raises RuntimeError where two processes have an entry of one name.
    """
    everyone: list[dict[str, T]] = [{} for _ in range(dist.get_world_size())]
    dist.all_gather_object(everyone, own)
    entries: dict[str, T] = {}
    for theirs in everyone:
        if twice := sorted(entries.keys() & theirs.keys()):
            raise RuntimeError(f"two processes hold the same tensor, {twice[0]}")
        entries |= theirs
    return entries
