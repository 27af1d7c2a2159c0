"""A Python whose processes are forked from one that has the engines, and a test's own vLLM process on a CPU."""

import atexit
import contextlib
import functools
import tempfile
from pathlib import Path

from polaris.forking.preload import forking_python
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
    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="engines-", ignore_cleanup_errors=True)))
    return kept.enter_context(forking_python(folder, folder / "log", preload.SURROUNDINGS, preload.MODULES + MODULES))
