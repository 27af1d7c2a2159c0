"""When a training stops by itself, at a checkpoint: before its `limit`, and before its Slurm job ends."""

import math
import os
import re
import subprocess
import time

from polaris.stage.nodes import squeue

LEFT = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)$")  # squeue's %L: days-hours:minutes:seconds
# Times the longest step so far, its checkpoint included, that the next step and a last checkpoint may take.
MARGIN = 2.0


def deadline(limit: float) -> float:
    """Seconds since the epoch until which a launch may last. limit: its own, in seconds from now."""
    return time.time() + min(limit, seconds_left())


def seconds_left() -> float:
    """Seconds until the Slurm job of this process ends; infinity outside of one, and where Slurm names no end."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return math.inf
    try:
        return parsed(squeue(job, "L"))
    except (OSError, subprocess.SubprocessError):
        return math.inf


def parsed(left: str) -> float:
    """Seconds of squeue's time left; infinity for UNLIMITED, NOT_SET and INVALID."""
    if (match := LEFT.fullmatch(left)) is None:
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def is_due(deadline: float, now: float, longest: float) -> bool:
    """Whether another step might not end before the deadline. longest: seconds of a step so far, checkpoint
    included.
    """
    return now + MARGIN * longest > deadline
