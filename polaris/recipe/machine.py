"""What of this machine Snakemake shares among stages, beside its processors."""

import contextlib
import os
from pathlib import Path

from polaris.hardware.model_shapes import known_shape
from polaris.models.settings import Model
from polaris.stage.errors import UserError

CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MIB = 2**20
# Engine -> MiB of its processes on a CPU with the laptop's models, as measured (docs/performance.md), and bytes for
# each parameter beside them, in float32: weights; of a training also gradients and Adam's two moments; of RL also
# vLLM's copy and that of the export. SmolLM2-135M took 7 GB in RL: 4000 MiB and 24 bytes a parameter make 7.1.
ENGINES = {"rl": (4000, 24), "vllm": (1500, 4), "megatron": (2000, 20), "sft": (1500, 20)}


def memory_mb(limits: tuple[Path, ...] = CGROUP) -> int:
    """MiB of memory of this machine, or of the container that this process is in.

    limits: files with a number of bytes, or a word where there is no limit
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    told = [file.read_text().strip() for file in limits if file.exists()]
    return min([machine, *(int(text) for text in told if text.isdigit())]) // MIB


def stage_mb(engine: str, models: dict[str, Model | None], run: Path) -> int:
    """MiB that a stage of one engine takes on a CPU, with the largest of the models that it may load.

    models: by the names of their stages; run: the run's folder. What is not known here counts as small.
    """
    parameters = [0.0]
    for stage, source in models.items():
        with contextlib.suppress(UserError):  # preflight and the model's own stage say what is wrong with it
            shape = source and known_shape(source, run / stage / "model")
            parameters.append(shape.parameters if shape else 0.0)
    return needed_mb(engine, max(parameters))


def needed_mb(engine: str, parameters: float) -> int:
    """MiB that a stage of one engine takes on a CPU with a model of so many parameters."""
    own, each = ENGINES[engine]
    return own + round(each * parameters / MIB)
