"""A process that has imported what verl's processes import, and becomes any of them by fork: for one node without GPUs.

Ray's workers, vLLM's engine and the trainer import the same 8,000 modules, each after the one before it is ready: eight
times 4 to 10 s. `forking_python` gives an executable that takes a Python command line (verl_forked.py), and the
process that runs it is forked from one that has all of them. Ray and multiprocessing have a setting for the
interpreter of their processes; nothing of verl, Ray or vLLM is changed.

Fork is safe as long as no engine has started: there is one thread (jemalloc's, which pyarrow brings, allows for forks),
no random number drawn that matters (Python's generator seeds itself anew), and no device opened.
"""

import ast
import atexit
import contextlib
import ctypes
import gc
import importlib
import multiprocessing
import os
import runpy
import selectors
import shlex
import signal
import socket
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Sequence
from fcntl import F_DUPFD, fcntl
from pathlib import Path
from typing import Any

from polaris.stage import subprocesses
from polaris.stage.code import module_name
from small_rl.training import verl_devices, verl_forked
from small_rl.training.verl_ray_cluster import ON_ONE_NODE

# What the processes of a stage import, as measured; whatever is not here, a process imports itself.
MODULES = (
    "ray._private.workers.default_worker",
    "hydra",
    module_name("small_rl.training.verl_trainer"),
    module_name("small_rl.training.verl_rollouts"),
    module_name("small_rl.training.verl_vllm"),
    "verl.workers.rollout.vllm_rollout.vllm_async_server",
    "vllm.v1.engine.core",
    "vllm.v1.worker.cpu_worker",
)


@contextlib.contextmanager
def interpreter(device: str, nodes: int, folder: Path, log: Path) -> Iterator[str]:
    """The Python of a stage's processes, while the block lasts. folder, log: as in `forking_python`."""
    if device != "cpu" or nodes > 1:
        yield sys.executable
        return
    with forking_python(folder, log, verl_devices.environment("cpu") | ON_ONE_NODE) as python:
        yield python


@contextlib.contextmanager
def forking_python(folder: Path, log: Path, env: dict[str, str], modules: Sequence[str] = MODULES) -> Iterator[str]:
    """The path of an executable to be used as a Python, while the block lasts; its processes end with it.

    folder: nobody else's, with a short path; log: of the process that is forked; env: that of the processes to come as
    far as modules read it while they are imported
    """
    python, address = folder / "python", folder / "fork"
    command = shlex.join([sys.executable, "-I", "-S", verl_forked.__file__, str(address)])
    python.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    python.chmod(0o700)
    start = [sys.executable, "-m", module_name("small_rl.training.verl_preload"), str(python), str(address), *modules]
    with subprocesses.background(start, log, env):
        yield str(python)


class Forks:
    """Forks a process for each request, and passes on the ends: of the process, and of who asked for it."""

    def __init__(self, listener: socket.socket):
        self.listener = listener
        self.asking: dict[Any, int] = {}  # the process of each connection that waits for its end
        self.woken, waker = os.pipe()
        for end in (self.woken, waker):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # a handler of Python's, or no byte is written
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self.selector = selectors.DefaultSelector()
        for source in (listener, self.woken):
            self.selector.register(source, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any]:
        """Returns in each forked process, with its request."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    if request := self._forked(self.listener.accept()[0]):
                        return request
                elif key.fileobj == self.woken:
                    os.read(self.woken, 4096)
                else:  # whoever asked is gone
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self.asking[key.fileobj], signal.SIGKILL)
                    self.selector.unregister(key.fileobj)
            self._reap()

    def _forked(self, connection: socket.socket) -> dict[str, Any] | None:
        """The request, in the forked process; None here. Whoever asks may be killed at any moment."""
        try:
            request, fds = verl_forked.receive(connection)
        except (OSError, ValueError):
            connection.close()
            return None
        if not (pid := os.fork()):
            self._leave(request, fds, connection)
            return request
        for fd in fds:
            os.close(fd)
        with contextlib.suppress(OSError):
            connection.sendall(pid.to_bytes(4, "big"))
        self.asking[connection] = pid
        self.selector.register(connection, selectors.EVENT_READ)
        return None

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                connection = next(one for one, pid in self.asking.items() if pid == ended[0])
                del self.asking[connection]
                with contextlib.suppress(KeyError, OSError):  # whoever asked is gone
                    self.selector.unregister(connection)
                    connection.sendall(os.waitstatus_to_exitcode(ended[1]).to_bytes(4, "big", signed=True))
                connection.close()

    def _leave(self, request: dict[str, Any], fds: list[int], connection: socket.socket) -> None:
        """In the child: nothing of the parent's, and what a new program would have been given."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(subprocesses.PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):  # of another session, or gone by now
            os.setpgid(0, request["group"])
        self.selector.close()
        for one in (*self.asking, connection, self.listener):
            one.close()
        wanted = request["fds"]
        aside = [fcntl(fd, F_DUPFD, max(wanted) + 1) for fd in fds]
        for fd in fds:
            os.close(fd)
        for fd, number in zip(aside, wanted, strict=True):
            os.dup2(fd, number)
            os.close(fd)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])


def run(arguments: list[str]) -> int:
    """What `python <arguments>` does with a script, a module or multiprocessing's command. Returns the exit status."""
    try:
        _run(arguments)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


def _run(arguments: list[str]) -> None:
    if arguments[0].startswith("-"):  # multiprocessing repeats its interpreter's flags, which are this one's
        arguments = arguments[min(arguments.index(how) for how in ("-c", "-m") if how in arguments) :]
    how, *rest = arguments
    if how == "-m":
        sys.argv[:] = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.argv[:] = ["-c", *rest[1:]]
        sys.modules["__main__"] = types.ModuleType("__main__")
        _call(rest[0])
    else:
        sys.argv[:] = arguments
        sys.path[0] = str(Path(how).parent)
        runpy.run_path(how, run_name="__main__")


def _call(command: str) -> None:
    """What multiprocessing starts its processes with: `from module import function; function(1, name=2)`."""
    body: Any = ast.parse(command).body
    (imported,), call = body[0].names, body[1].value
    function = getattr(importlib.import_module(body[0].module), imported.name)
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    function(*map(ast.literal_eval, call.args), **given)


def main() -> None:
    python, address, *modules = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen()
    os.rename(f"{address}.new", address)  # from now on whoever asks waits for the answer alone
    # Ray reads its settings once, while it is imported, and these two a worker must have: with whose death to end, and
    # whose it is. Ray counts the jobs of a cluster from 1, and this one has no other.
    os.environ |= {"RAY_RAYLET_PID": str(os.getpid()), "RAY_JOB_ID": "01000000"}
    gc.disable()
    for name in modules:
        importlib.import_module(name)
    gc.freeze()  # no pass through them in a child, which would copy their pages
    gc.enable()
    multiprocessing.set_executable(python)
    request = Forks(listener).serve()
    try:
        status = run(request["arguments"])
    except BaseException:  # noqa: BLE001 (Python, too, says any and ends)
        traceback.print_exc()
        status = 1
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]  waits for threads; as multiprocessing ends a fork of its own
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # without unloading 8,000 modules one by one, which takes 4 s


if __name__ == "__main__":
    main()
