"""The environment of a test's own vLLM process on a CPU, and a Python for it that need not import vLLM."""

import functools
import tempfile
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


@functools.cache
def engine_python() -> str:
    """A Python whose processes are forked from one that has imported vLLM, as a run's generations are.

    One for all tests of a process; an import takes longer than what most tests ask of an engine.
    """
    return preload.python_until_exit(Path(tempfile.mkdtemp()) / "preload.log", {})
