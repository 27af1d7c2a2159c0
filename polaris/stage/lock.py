"""The lock on a stage: one process at a time works in its folder."""

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import TextIO

from polaris.stage import files
from polaris.stage.errors import UserError


def take_lock(folder: Path) -> TextIO:
    """The kernel's lock on the stage in `folder`: released when closed, or when this process ends, however it ends.

    Raises UserError when another process holds it, and where something in the folder leads out of it.
    """
    files.check_stage(folder)
    try:
        (folder / "state").mkdir(parents=True, exist_ok=True)
        lock = os.fdopen(files.opened(folder / "state" / "lock", os.O_RDWR | os.O_CREAT), "r+", errors="replace")
    except PermissionError:
        raise  # told with its owner
    except OSError as error:
        raise UserError(f"{folder}: this cannot be written ({error.strerror}): choose another place") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(1.0)  # it may be only `polaris status` that looks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise UserError(f"{folder}: another process works on this stage ({owner}); wait for it or stop it") from None
    lock.truncate(0)
    job = os.environ.get("SLURM_JOB_ID", "-")
    lock.write(f"host {socket.gethostname()}, pid {os.getpid()}, job {job}, since {time.strftime('%F %T')}")
    lock.flush()
    return lock


def locked_by(folder: Path) -> str | None:
    """Who works on the stage in `folder` now, in the lock's own words; None: nobody. Raises UserError for a lock that
    is no file.
    """
    try:
        descriptor = files.opened(folder / "state" / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, errors="replace") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "unknown"
    return None
