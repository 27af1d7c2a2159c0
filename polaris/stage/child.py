"""An engine as a child process: bounded in time, never left behind, its chatter in a log."""

import codecs
import contextlib
import ctypes
import io
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from polaris.stage.errors import UserError

PR_SET_PDEATHSIG = 1  # prctl(2): the kernel signals the child when its parent dies, even by SIGKILL
LAST_LINES = 25
LOOK = 0.5  # seconds between looks at whether a silent child is still there
PIPE = 1 << 20  # bytes; what a pipe holds at most, unless root says otherwise
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
LINE = 300  # characters of a line that are shown: vLLM dumps its whole state into one


def _die_with_parent() -> None:
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(child: subprocess.Popen, grace: float) -> None:
    """SIGTERM for the child's whole process group, SIGKILL after `grace` seconds for what is left of it."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + grace
        try:
            os.killpg(child.pid, sign)
            while time.monotonic() < deadline:
                child.poll()  # reaped: a zombie would count as one of the group
                os.killpg(child.pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            return


def _started(command: Sequence[str], env: Mapping[str, str], **more: Any) -> subprocess.Popen:
    """A child in a process group of its own that ends with this process; stdout and stderr go to one place."""
    return subprocess.Popen(
        list(command),
        env={**os.environ, **env},
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 (it calls the kernel and nothing else)
        **more,
    )


@contextlib.contextmanager
def background(
    command: Sequence[str], log: Path, env: Mapping[str, str], grace: float = 20.0
) -> Iterator[subprocess.Popen]:
    """`command` runs beside the block, its output appended to `log`, and is stopped with its process group at the
    end.
    """
    with log.open("ab") as out:
        child = _started(command, env, stdout=out)
    try:
        yield child
    finally:
        _stop(child, grace)
        child.wait()


def run_together(
    commands: Sequence[Sequence[str]],
    logs: Sequence[Path],
    envs: Sequence[Mapping[str, str]],
    look: Callable[[], None],
    every: float,
) -> None:
    """Run all commands side by side, each with its own log and environment; call `look` every so many seconds.

    Raises UserError with the end of the log of the first that fails; all others are stopped then.
    """
    with contextlib.ExitStack() as running:
        children = [
            running.enter_context(background(command, log, env))
            for command, log, env in zip(commands, logs, envs, strict=True)
        ]
        while True:
            statuses = [child.poll() for child in children]
            for command, status, log in zip(commands, statuses, logs, strict=True):
                if status:
                    raise UserError(f"{' '.join(command)}: exited with status {status}; read {log}:\n{tail(log)}")
            if None not in statuses:
                return
            look()
            time.sleep(every)


def _watch(child: subprocess.Popen, timeout: float, grace: float, timed_out: threading.Event) -> None:
    """Wait for the child's end, at most `timeout` seconds, then stop whatever of its group is still there."""
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out.set()
    _stop(child, grace)
    child.wait()


def _lines(output: IO[bytes], watcher: threading.Thread) -> Iterator[str]:
    """The child's output by lines, to its end, or to what is in the pipe once the watcher has seen the child's end.

    A grandchild in a session of its own is stopped by nobody and may hold the output open for ever.
    """
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    rest, over, chunk = "", False, b" "
    while chunk and not over:
        over = not watcher.is_alive()  # before the look: all that the child wrote is in the pipe then
        if not select.select([output], [], [], 0 if over else LOOK)[0]:
            continue
        chunk = os.read(output.fileno(), PIPE)
        *lines, rest = (rest + decoder.decode(chunk, final=not chunk)).split("\n")
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def tail(log: Path, lines: int = LAST_LINES) -> str:
    """The last lines of a log, without colours, for an error message."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64 * 1024))
        last = COLOURS.sub("", file.read().decode(errors="replace")).splitlines()[-lines:]
    return "\n".join(line[:LINE] for line in last)


def run(
    command: Sequence[str],
    log: Path,
    env: Mapping[str, str],
    timeout: float,
    on_line: Callable[[str], None] = lambda line: None,
    grace: float = 20.0,
) -> None:
    """Run `command`, append its output to `log`, hand each line to `on_line`.

    env: added to this process's environment
    timeout: seconds of wall-clock time after which the child and its whole process group are stopped. An engine that
        hangs (verl waits for ever for a failed weight transfer) thus becomes an error that a retry can resume from.
    Raises UserError with the end of the log when the child fails or is stopped.
    """
    child = _started(command, env, stdout=subprocess.PIPE)
    assert child.stdout is not None
    timed_out = threading.Event()
    # A thread watches the end, because a grandchild that outlives the child holds its output open.
    watcher = threading.Thread(target=_watch, args=(child, timeout, grace, timed_out), daemon=True)
    watcher.start()
    try:
        with log.open("a") as out:
            for line in _lines(child.stdout, watcher):
                out.write(line)
                out.flush()
                on_line(line)
    except BaseException:
        _stop(child, grace)
        raise
    finally:
        watcher.join()
        child.stdout.close()
    if timed_out.is_set():
        raise UserError(f"{command[0]}: stopped after its timeout of {timeout:.0f} s; read {log}:\n{tail(log)}")
    if child.returncode:
        raise UserError(f"the engine exited with status {child.returncode}; read {log}:\n{tail(log)}")
