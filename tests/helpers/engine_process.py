"""A Python whose processes are forked from one that has the engines, and a test's own vLLM process on a CPU."""

import contextlib
import functools
import multiprocessing
import tempfile
from collections.abc import Iterator
from multiprocessing import spawn
from pathlib import Path

from polaris.generation import preload

ENGINE = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
# Beside what a generation imports: what Snakemake does for our rules, and torchrun. No test that asks for this Python
# changes our code.
MODULES = (
    "snakemake.cli",
    "snakemake.workflow",
    "snakemake.persistence.db",
    "snakemake_executor_plugin_slurm",
    "requests",
    "polaris.recipe.printed",
    "polaris.planning.plan",
    "polaris.generation.preload",
    "small_rl.settings",
    "torch.distributed.run",
)


@functools.cache
def engine_python() -> str:
    """An executable to be used as a Python, one for all tests of a process: an import takes longer than what most tests
    ask of an engine. Its processes are the children of another: a test that looks at children, or kills them, starts
    Python itself.
    """
    return _until_exit(preload.MODULES + MODULES)


@functools.cache
def rank_python() -> str:
    """As `engine_python`, with Megatron on a CPU: for the processes that torchrun starts."""
    with forked_engines():
        return _until_exit(("tests.parity.megatron_checks",))


@functools.cache
def _logs() -> tempfile.TemporaryDirectory:
    """A folder that ends with this process."""
    return tempfile.TemporaryDirectory(prefix="engines-", ignore_cleanup_errors=True)


def _until_exit(modules: tuple[str, ...]) -> str:
    return preload.python_until_exit(Path(_logs().name) / f"{modules[0]}.log", {}, modules)


@contextlib.contextmanager
def forked_engines() -> Iterator[None]:
    """The engines that this process starts meanwhile are forked, too, as those of a stage that was."""
    before = spawn.get_executable()
    multiprocessing.set_executable(engine_python())
    try:
        yield
    finally:
        multiprocessing.set_executable(before)
