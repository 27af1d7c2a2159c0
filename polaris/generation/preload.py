"""The Python of a run's generations and RL stages on a CPU, which are forked from one process that has imported vLLM.

Each is a process of its own with an engine of its own, so that nothing of one model is left for the next. vLLM imports
6,000 modules, which takes as long as a tiny model takes for all of its responses. An RL stage adds verl to them for its
own processes (small_rl/training/verl_preload.py).
"""

import atexit
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from polaris.forking.preload import forking_python
from polaris.generation.vllm_engine import CPU_ENVIRONMENT, ENVIRONMENT, ON_ONE_NODE

# What a generation imports, as measured; whatever is not here, it imports itself. Nothing of ours: a run lasts for
# hours, and its later stages run the code as it is then.
MODULES = (
    "!ray",  # reads its settings once, while it is imported, and an RL stage has its own
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "transformers.models.qwen3",
    "vllm.v1.engine.llm_engine",
    "vllm.v1.core.sched.scheduler",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.attention.backends.cpu_attn",
    "vllm.model_executor.models.qwen3",
    "compressed_tensors",
)


def python_until_exit(log: Path, environment: dict[str, str], modules: Sequence[str] = MODULES) -> str:
    """The path of an executable to be used as a Python until this process ends, with which its processes end.

    log: of the process that is forked; environment: the recipe's; modules: what it imports
    """
    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="polaris-", ignore_cleanup_errors=True))
    env = ENVIRONMENT | CPU_ENVIRONMENT | ON_ONE_NODE | {"OMP_WAIT_POLICY": "PASSIVE"} | environment
    return kept.enter_context(forking_python(Path(folder), log, env, modules))
