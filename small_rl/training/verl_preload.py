"""The Python of verl's processes: on one node without GPUs forked from one that has imported what they import.

Ray's workers, vLLM's engine and the trainer import the same 8,000 modules, each after the one before it is ready: eight
times 4 to 10 s. Ray and multiprocessing have a setting for the interpreter of their processes (polaris/forking);
nothing of verl, Ray or vLLM is changed.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from polaris.forking.preload import forking_python
from polaris.stage.code import module_name
from small_rl.training import verl_devices
from small_rl.training.verl_ray_cluster import ON_ONE_NODE

# What the processes of a stage import, as measured; whatever is not here, a process imports itself.
MODULES = (
    "ray._private.workers.default_worker",
    module_name("small_rl.training.verl_plugin"),  # before verl, which declares actors (_leave_rays_generator_alone)
    "hydra",
    module_name("small_rl.training.verl_trainer"),
    module_name("small_rl.training.verl_rollouts"),
    module_name("small_rl.training.verl_vllm"),
    "verl.workers.rollout.vllm_rollout.vllm_async_server",
    "vllm.v1.engine.core",
    "vllm.v1.worker.cpu_worker",
)


@contextlib.contextmanager
def interpreter(device: str, nodes: int, folder: Path, log: Path) -> Iterator[str]:
    """The Python of a stage's processes, while the block lasts. folder, log: as in `forking_python`."""
    if device != "cpu" or nodes > 1:
        yield sys.executable
        return
    # Ray reads its settings once, while it is imported, and these two a worker must have: with whose death to end, and
    # whose it is. Ray counts the jobs of a cluster from 1, and this one has no other.
    worker = {"RAY_RAYLET_PID": str(os.getpid()), "RAY_JOB_ID": "01000000"}
    with forking_python(folder, log, verl_devices.environment("cpu") | ON_ONE_NODE | worker, MODULES) as python:
        yield python
