"""`python -I -S forked.py SOCKET <arguments of Python>`: asks the process of forks.py for one that runs them.

It has this one's environment, working directory, process group, blocked signals and open files. This one passes signals
on to it, ends as it ends, and takes it along when it is killed. Where nobody answers, this one becomes a plain Python.
The standard library alone, and little of that: it starts in 30 ms.
"""

import json
import os
import select
import signal
import socket
import sys
import time

PATIENCE = 60.0  # seconds for the socket to be there
LENGTH = 4  # bytes of a number


def _whole(connection: socket.socket, length: int) -> bytes:
    """Exactly `length` bytes. Raises ConnectionError when the other end closes before."""
    got = b""
    while len(got) < length:
        if not (more := connection.recv(length - len(got))):
            raise ConnectionError
        got += more
    return got


def send(connection: socket.socket, request: dict, fds: list) -> None:
    text = json.dumps(request | {"fds": fds}).encode()
    socket.send_fds(connection, [len(text).to_bytes(LENGTH, "big")], fds)
    connection.sendall(text)


def receive(connection: socket.socket) -> tuple:
    """A request, and its files as numbers of this process."""
    head, fds, _, _ = socket.recv_fds(connection, LENGTH, 250)
    return json.loads(_whole(connection, int.from_bytes(head, "big"))), list(fds)


def _connected(address: str) -> socket.socket:
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(address)
            return connection
        except FileNotFoundError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _open_files() -> list:
    """Numbers of the files that a program started by this one would have."""
    numbers = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.get_inheritable(int(name)):
                numbers.append(int(name))
        except OSError:  # the listing's own
            pass
    return numbers


def _asked(address: str, arguments: list, fds: list) -> tuple:
    """The connection, and the number of the process. Raises OSError where nobody answers: then there is no process."""
    connection = _connected(address)
    request = {"arguments": arguments, "env": dict(os.environ), "cwd": os.getcwd(), "group": os.getpgid(0)}
    request["blocked"] = list(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    send(connection, request, fds)
    return connection, int.from_bytes(_whole(connection, LENGTH), "big")


def _signalled() -> int:
    """A pipe out of which the numbers of the signals come that this process gets: none is missed on the way to a wait.

    But SIGINT: a terminal's goes to the whole group, and the process is in it.
    """
    signalled, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, frame: None)  # a handler of Python's, or no number is written
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what the process blocks waits there
    return signalled


def main() -> None:
    address, *arguments = sys.argv[1:]
    fds = _open_files()
    try:
        connection, child = _asked(address, arguments, fds)
    except OSError as error:
        print(f"the process to be forked is gone; this one imports for itself ({error})", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, *arguments])
    signalled = _signalled()
    for fd in fds:  # a pipe of the child's is at its end when the child has closed it
        if fd > 2:
            os.close(fd)
    while connection not in select.select([connection, signalled], [], [])[0]:
        for number in os.read(signalled, 64):
            try:
                os.kill(child, number)
            except ProcessLookupError:  # its end is on the way
                pass
    status = int.from_bytes(_whole(connection, LENGTH), "big", signed=True)
    if status < 0:  # as a shell says it
        os._exit(128 - status)
    os._exit(status)


if __name__ == "__main__":
    try:
        main()
    except ConnectionError:
        sys.exit("the process to be forked was stopped, and this one with it")
