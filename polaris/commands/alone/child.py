"""A command that does its work in another process, and waits for it whatever happens."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def waited(command: Sequence[str], folder: Path = Path()) -> int:
    """Run a command in a folder to its end. Returns its exit status.

    Ctrl-C goes to both processes; the other one ends its own children, and only then this one ends, by
    KeyboardInterrupt. `python` is this process's own, whatever is activated; a person's standing Snakemake profile,
    which could name another recipe, is left out.
    """
    environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment.get("PATH", os.defpath)))
    child = subprocess.Popen(command, cwd=folder, env=environment)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if status in (-signal.SIGINT, 128 + signal.SIGINT):
        raise KeyboardInterrupt
    return status
