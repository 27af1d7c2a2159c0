"""One folder for all processes of a test session: the first makes it, the others wait and find it."""

import fcntl
from collections.abc import Callable
from pathlib import Path

FAILED = "the making of {} failed; the test that tried it says why"


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, made by one of the processes that ask. Raises RuntimeError in the others where that failed."""
    outcome = folder.with_name(f"{folder.name}.txt")  # what went wrong; empty where nothing did
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outcome.exists():
            outcome.write_text(FAILED.format(folder))
            folder.mkdir()
            make(folder)
            outcome.write_text("")
    if said := outcome.read_text():
        raise RuntimeError(said)
    return folder
