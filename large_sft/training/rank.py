"""What the process of every rank does before its work."""

import ctypes
import signal
import sys
from collections.abc import Callable

from polaris.stage.cuda import require_cuda
from polaris.stage.errors import UserError
from polaris.stage.subprocesses import PR_SET_PDEATHSIG


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
