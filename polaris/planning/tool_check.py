"""What one engine's interpreter finds on this node: `python -m polaris.planning.tool_check MODULE ...` prints one JSON
object.

Asked by `polaris preflight` on a node with GPUs, in each tool's own interpreter. It imports the modules that the engine
needs, for an installed package whose library is missing is found by nothing else, and looks at the GPUs through torch.
"""

import contextlib
import importlib
import io
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from polaris.stage.cuda import driver_version, refusal

GIB = 1 << 30
REASON = 160  # characters of an import's error that are shown


@dataclass(frozen=True)
class Seen:
    """missing: module -> why it cannot be imported; refusal: why torch cannot use a GPU here, None where it can.

    memory: GiB of the smallest GPU, 0 without one; capability: of the oldest ("9.0"); covered: torch has kernels for
        it;
    compiler: there is one of C, with which Triton builds its launchers while a stage runs
    """

    python: str
    glibc: str
    torch: str | None
    cuda: str | None
    driver: str | None
    gpus: int
    memory: float
    capability: str
    covered: bool
    compiler: bool
    missing: dict[str, str]
    refusal: str | None


def look(modules: Sequence[str]) -> Seen:
    """This interpreter on this node."""
    missing = {name: why for name in modules if (why := failure(name))}
    node = {
        "python": platform.python_version(),
        "glibc": platform.libc_ver()[1],
        "compiler": any(map(shutil.which, ("gcc", "clang", os.environ.get("CC") or "cc"))),
        "missing": missing,
    }
    if "torch" in missing or failure("torch"):
        nothing = {"torch": None, "cuda": None, "gpus": 0, "memory": 0.0, "capability": "", "covered": False}
        why = missing.get("torch", "torch cannot be imported")
        return Seen(**node, **nothing, driver=driver_version(), refusal=why)
    return Seen(**node, **_gpus())


def failure(module: str) -> str | None:
    """Why a module cannot be imported, in one line; None: it can."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 (whatever a package raises while it is imported)
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:REASON]
    return None


def _gpus() -> dict[str, Any]:
    import torch

    driver = driver_version()
    count = torch.cuda.device_count() if torch.version.cuda else 0
    why = refusal(torch.__version__, torch.version.cuda, driver, count)
    devices = [] if why else [torch.cuda.get_device_properties(i) for i in range(count)]
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "driver": driver,
        "gpus": count,
        "memory": min((device.total_memory / GIB for device in devices), default=0.0),
        "capability": "{}.{}".format(*min((device.major, device.minor) for device in devices)) if devices else "",
        "covered": all(_covered(device.major, device.minor, torch.cuda.get_arch_list()) for device in devices),
        "refusal": why,
    }


def _covered(major: int, minor: int, architectures: Sequence[str]) -> bool:
    """Whether torch's kernels (sm_80, sm_90a, ...) run on a GPU: those of its own generation do, of its minor number or
    less.
    """
    kernels = (re.fullmatch(r"sm_(\d+)(\d)[a-z]?", name) for name in architectures)
    return any(match and int(match[1]) == major and int(match[2]) <= minor for match in kernels)


def main() -> None:
    with contextlib.redirect_stdout(sys.stderr):
        seen = look(sys.argv[1:])
    print(json.dumps(asdict(seen)))
    sys.stdout.flush()
    os._exit(0)  # vLLM and Ray take seconds to leave


if __name__ == "__main__":
    main()
