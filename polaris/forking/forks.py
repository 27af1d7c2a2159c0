"""A process that has imported modules, and becomes by fork whatever Python would be started for.

`python -m polaris.forking.forks PYTHON SOCKET [MODULE ...]`: PYTHON is the executable that asks for its processes
(polaris/forking/preload.py). A library that is named as !LIBRARY is not there for the modules, and a forked process
imports it for itself. Of ours this one imports nothing else, so that a forked process runs the code as it is then.

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
import signal
import socket
import sys
import threading
import traceback
import types
import weakref
from fcntl import F_DUPFD, fcntl
from pathlib import Path
from typing import Any, NoReturn

from polaris.forking import forked

UNBUFFERED = "-u"  # Python's flag
PR_SET_PDEATHSIG = 1  # prctl(2): the kernel signals the child when its parent dies, even by SIGKILL


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
            request, fds = forked.receive(connection)
        except (OSError, ValueError):
            connection.close()
            return None
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the child has no handler of this process
        if not (pid := os.fork()):
            self._leave(request, fds, connection)
            return request
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
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
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
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
        _open_streams(request["arguments"][0] == UNBUFFERED or bool(os.environ.get("PYTHONUNBUFFERED")))


def _open_streams(unbuffered: bool) -> None:
    """Standard streams as Python opens them: the parent's know where they are in its own log."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with contextlib.suppress(OSError):  # whoever asked had closed it
            if number == 0:
                stream = open(number, closefd=False)  # noqa: SIM115
            else:
                by_line = unbuffered or name == "stderr" or os.isatty(number)
                errors = "backslashreplace" if name == "stderr" else None
                stream = open(number, "w", buffering=1 if by_line else -1, errors=errors, closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


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
    if arguments[0] == UNBUFFERED:
        del arguments[0]
    if arguments[0].startswith("-"):  # multiprocessing repeats its interpreter's flags, which are this one's
        arguments = arguments[min(arguments.index(how) for how in ("-c", "-m") if how in arguments) :]
    how, *rest = arguments
    if how == "-m":
        sys.argv[:] = rest
        sys.path[0] = str(Path.cwd())
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


def _end(python: Path, address: Path) -> NoReturn:
    """Also when whoever started this process was killed: nothing is left behind, and every forked process ends."""
    for path in (python, address):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other things are in it, or it is gone
        python.parent.rmdir()
    os._exit(128 + signal.SIGTERM)


def _import(modules: list[str]) -> None:
    """What children begin with."""
    gc.disable()
    left_out = [name[1:] for name in modules if name.startswith("!")]
    sys.modules.update(dict.fromkeys(left_out))  # pyright: ignore[reportArgumentType, reportCallIssue]  None blocks an import
    for name in modules:
        if not name.startswith("!"):
            importlib.import_module(name)
    for name in left_out:
        del sys.modules[name]
    for one in list(weakref.finalize._registry):  # pyright: ignore[reportAttributeAccessIssue]
        one.atexit = False  # torch would take back 3,000 registrations in each child that ends, for .4 s
    gc.freeze()  # no pass through them in a child, which would copy their pages
    gc.enable()


def main() -> None:
    python, address, *modules = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda number, frame: _end(Path(python), Path(address)))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    os.chmod(f"{address}.new", 0o600)
    listener.listen()
    os.rename(f"{address}.new", address)  # from now on whoever asks waits for the answer alone
    _import(modules)
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
