"""Confines a process for good: it can read files and compute, and nothing else.

confine() ends with a seccomp filter, which a process may put on itself without being root, also in ordinary containers
(Docker, Apptainer, Kubernetes). It lists the system calls that remain: memory, clocks, reading, writing to what is
open. Everything else fails with EPERM: opening a file for writing, removing, renaming, sockets, new processes, signals
to others. Namespaces need rights that containers withhold, Landlock leaves the network open before Linux 6.7 and is
missing from many kernels of clusters. Where there is no seccomp, confine() raises OSError: nothing runs unconfined.

Besides, no text becomes code: compile, eval and exec of one raise SyntaxError. Two modules of libraries are left out,
which write functions for a number of arguments, and see no other text.
"""

import ctypes
import functools
import os
import platform
import resource
import signal
import struct
import sys
from typing import Any

OPEN_FILES = 64
WRITE_FUNCTIONS = ("sympy.polys.monomials", "mpmath.libmp.libhyper")  # of n variables, of n parameters
_PR_SET_PDEATHSIG, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 1, 21, 22, 38, 2
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | 1  # SECCOMP_RET_*; ERRNO with EPERM
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06  # BPF: 32-bit word to A, A == k, A & k, return k
_NUMBER, _ARCHITECTURE, _FLAGS = 0, 4, 32  # offsets in struct seccomp_data: nr, arch, the third argument's low half
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (os.O_TMPFILE & ~os.O_DIRECTORY)

_LIBC = ctypes.CDLL(None, use_errno=True)

# Linux' asm/unistd.h: name -> number on x86_64 and on aarch64 (None: it has no such call)
_CALLS = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "stat": (4, None), "fstat": (5, 80), "lstat": (6, None),
    "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67),
    "mremap": (25, 216), "madvise": (28, 233), "getpid": (39, 172), "exit": (60, 93), "readlink": (89, None),
    "setitimer": (38, 103), "getcwd": (79, 17), "gettimeofday": (96, 169), "getrusage": (98, 165),
    "getppid": (110, 173), "futex": (202, 98), "getdents64": (217, 61), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "exit_group": (231, 94), "newfstatat": (262, 79), "readlinkat": (267, 78),
    "getrandom": (318, 278), "statx": (332, 291),
}  # fmt: skip
_OPENAT = (257, 56)  # only for reading
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH_*


def confine() -> None:
    """Leave this process reading and computing alone. Raises OSError where the kernel has no such means."""
    program = _filter()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    sys.addaudithook(_refuse_text)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    code = ctypes.create_string_buffer(program, len(program))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    _prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(fprog))


def check() -> None:
    """Raise OSError where confine() would: before there is anything to confine."""
    _filter()
    if _LIBC.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "this kernel has no seccomp, which confines what grades answers")


def die_with(parent: int) -> None:
    """The kernel kills this process when its parent ends, however it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, *arguments: int) -> None:
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    if _LIBC.prctl(option, *words):
        raise OSError(ctypes.get_errno(), f"prctl({option}): this kernel cannot confine a process")


@functools.cache
def _filter() -> bytes:
    """The BPF program: allow the calls of the table, and openat for reading; refuse the rest."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _ARCHITECTURES:
        raise OSError(f"no list of system calls for {sys.platform} on {machine}: grade on Linux, x86_64 or aarch64")
    column, architecture = _ARCHITECTURES[machine]
    numbers = [call[column] for call in _CALLS.values() if call[column] is not None]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
        program.append((_EQUAL, left + 4, 0, number))  # to the last line, past the other calls and openat's five lines
    program += [
        (_EQUAL, 0, 3, _OPENAT[column]),
        (_LOAD, 0, 0, _FLAGS),
        (_AND, 0, 0, _WRITING),
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in program)


def _refuse_text(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook. Modules, which are compiled from files, still load; SyntaxError is what readers of text expect."""
    text = event == "compile" and str(arguments[1]).startswith("<")
    if text and sys._getframe(1).f_globals.get("__name__") not in WRITE_FUNCTIONS:
        raise SyntaxError("a grading process compiles no text")
