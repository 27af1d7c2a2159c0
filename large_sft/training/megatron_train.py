"""The process that torchrun starts for each rank: `python -m large_sft.training.megatron_train job.json`.

Kept small and guarded, because megatron-core's checkpoint writer starts a helper process that imports this module again
(dist_checkpointing/strategies/filesystem_async.py:55).
"""

import ctypes
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polaris.stage.cuda import require_cuda
from polaris.stage.errors import UserError
from polaris.stage.subprocesses import PR_SET_PDEATHSIG

STOP = "stop"  # file in Job.state: the training is to end after the step at hand


@dataclass(frozen=True)
class Job:
    """What the verb asks for.

    settings: the verb's section as plain values; start: model directory; tokens: tokens.parquet; state: folder of the
    checkpoints and of the request to stop; out: model directory to write; metrics: one JSON line per step
    """

    settings: dict[str, Any]
    start: str
    tokens: str
    state: str
    out: str
    metrics: str


def die_with_parent() -> None:
    """SIGKILL for this process when its parent ends, even where that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run_process(device: str, work: Callable[[], None]) -> None:
    """Do a rank's work, megatron-core fit for the device before; a UserError becomes its message and exit status 1."""
    die_with_parent()  # which is torchrun: two trainings must never write into one folder
    try:
        if device == "cuda":
            require_cuda("Megatron")
        else:
            from large_sft.training import megatron_cpu

            megatron_cpu.install()
        work()
    except UserError as error:
        sys.exit(f"error: {error}")


def _train(job: Job) -> None:
    from large_sft.training import megatron_loop

    megatron_loop.run(job)


def main() -> None:
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    run_process(job.settings["device"], lambda: _train(job))


if __name__ == "__main__":
    main()
