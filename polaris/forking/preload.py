"""An executable that is used as a Python, and whose processes are forked from one that has imported their modules.

For many processes on one machine without GPUs that import the same thousands of modules: nothing of the engines that
start them, or that they start, is changed.
"""

import contextlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from polaris.forking import forked, forks
from polaris.stage import subprocesses
from polaris.stage.nodes import own_python

THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")}
# Libraries count their threads while they are imported: a process that asks for another number imports for itself.
SCRIPT = """\
#!/bin/sh
[ "${{OMP_NUM_THREADS:-1}}" = 1 ] || exec {python} "$@"
exec {python} -I -S {forked} {address} "$@"
"""


@contextlib.contextmanager
def forking_python(folder: Path, log: Path, env: dict[str, str], modules: Sequence[str]) -> Iterator[str]:
    """The path of an executable to be used as a Python, while the block lasts; its processes end with it.

    folder: nobody else's, with a short path; log: of the process that is forked; env: that of the processes to come as
    far as modules read it while they are imported; modules: `!ray` for a library that is left out
    In a process that was forked itself, the new one begins with the modules of the one that this was forked from.
    """
    python, address = folder / "python", folder / "fork"
    words = {"python": sys.executable, "forked": forked.__file__, "address": str(address)}
    python.write_text(SCRIPT.format(**{name: shlex.quote(word) for name, word in words.items()}))
    python.chmod(0o700)
    start = [own_python(), "-m", forks.__name__, str(python), str(address), *modules]
    with subprocesses.background(start, log, THREADS | env):
        yield str(python)
