"""One environment per engine from its locked list: `make install-gpu`, or `python3.12 -m envs.install_gpu ENGINE...`.

Everything that the wheels and the builds ask of the machine is checked before anything is fetched. Interrupted, or
after `make envs`, the same command brings the environments to their lists.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from envs.machine import Machine, Wants, check, this_machine
from polaris.stage import terminal
from polaris.stage.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
GPU = Wants(
    ("x86_64",), ((3, 12),), (2, 31), "GPU_PYTHON"
)  # what uv.toml resolves for; glibc: llguidance's wheel, the others 2.28
CUDA = 13  # of torch's wheels; NVIDIA: CUDA 13 wants a driver of the 580 series or newer
DRIVER = 580
# The GPUs of `polaris plan`: A100, and H100, H200, H20. flash-attn builds for 100 and 120 as well if nobody says so.
ARCHITECTURES = "80;90"


class Engine(NamedTuple):
    """gigabytes: of disk, with room for the sources; built: published as sources only, compiled by nvcc here."""

    gigabytes: float
    built: tuple[str, ...] = ()
    compiles: bool = True  # Triton compiles its launchers with the system's C compiler, at run time


ENGINES = {
    "driver": Engine(1, compiles=False),
    "rl": Engine(12, ("flash-attn",)),
    "vllm": Engine(10),
    "megatron": Engine(7, ("transformer-engine-torch",)),
    "merge": Engine(6, compiles=False),
}


class Tools(NamedTuple):
    """What a machine has beside Python. driver, nvcc: major versions, None where there is none; free: bytes of disk."""

    driver: int | None
    nvcc: int | None
    compiler: bool
    headers: bool
    free: float


def printed_number(command: list[str], pattern: str) -> int | None:
    """The number that a program prints; None where there is no such program or no number in its output."""
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(pattern, text)
    return int(match[1]) if match else None


def tools_here(folder: Path) -> Tools:
    """Tools of this machine. folder: where the environments will lie"""
    nvcc = str(Path(os.environ["CUDA_HOME"], "bin/nvcc")) if "CUDA_HOME" in os.environ else "nvcc"
    while not folder.exists():
        folder = folder.parent
    return Tools(
        driver=printed_number(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], r"^(\d+)\."),
        nvcc=printed_number([nvcc, "--version"], r"release (\d+)\."),
        compiler=shutil.which("gcc") is not None and shutil.which("g++") is not None,
        headers=Path(sysconfig.get_path("include"), "Python.h").is_file(),
        free=shutil.disk_usage(folder).free,
    )


def check_gpu(machine: Machine, tools: Tools, engines: list[str], driver: int | None) -> None:
    """Raises UserError with the first thing in the way.

    driver: major version on the GPU nodes, where this machine is none of them; None: this machine's
    """
    check(machine, GPU)
    chosen = {name: ENGINES[name] for name in engines}
    compiling, building = [[name for name in chosen if getattr(chosen[name], key)] for key in ("compiles", "built")]
    if compiling and not (tools.compiler and tools.headers):
        missing = "no gcc and g++" if not tools.compiler else "no Python.h (Debian: python3.12-dev)"
        raise UserError(f"{', '.join(compiling)}: kernels are compiled on the machine, which has {missing}")
    driver = driver or tools.driver
    if compiling and driver is None:
        raise UserError(
            "nvidia-smi finds no NVIDIA driver here; on a machine without GPUs say what the GPU nodes have: "
            f"DRIVER={DRIVER}"
        )
    if compiling and driver is not None and driver < DRIVER:
        raise UserError(
            f"the wheels are built with CUDA {CUDA}, which wants an NVIDIA driver of {DRIVER} or newer, not {driver}"
        )
    if building and tools.nvcc != CUDA:
        compiler = f"nvcc of CUDA {tools.nvcc}" if tools.nvcc else "no nvcc (PATH or CUDA_HOME)"
        names = ", ".join(package for name in building for package in chosen[name].built)
        raise UserError(
            f"{names}: published as sources, built here by nvcc of CUDA {CUDA}; this machine has {compiler}"
        )
    need = sum(engine.gigabytes for engine in chosen.values())
    if tools.free < need * 1e9:
        raise UserError(
            f"the environments of {', '.join(chosen)} take {need:.0f} GB of disk; {tools.free / 1e9:.0f} are free"
        )


def lines_of(engine: str) -> tuple[list[str], list[str]]:
    """The requirements of an engine's list: those with wheels, and those that are built here."""
    pins = [line for line in (ROOT / f"envs/{engine}.txt").read_text().splitlines() if re.match(r"[\w.-]+==", line)]
    built = [pin for pin in pins if pin.split("==")[0] in ENGINES[engine].built]
    return [pin for pin in pins if pin not in built], built


def build_environment(environment: Path) -> dict[str, str]:
    """Environment variables of a build with nvcc: from sources alone; headers that the toolkit lacks are those of
    torch's wheels.
    """
    packages = environment / "lib/python3.12/site-packages/nvidia"
    headers = [packages / name / "include" for name in ("cudnn", "nccl", "cu13")]
    flags = {  # for gcc, which looks there last, and for nvcc, which hands them on to gcc
        "CPPFLAGS": [f"-idirafter {path}" for path in headers],
        "NVCC_APPEND_FLAGS": [f"-Xcompiler=-idirafter,{path}" for path in headers],
    }
    return {
        **os.environ,
        "FLASH_ATTENTION_FORCE_BUILD": "TRUE",
        "FLASH_ATTN_CUDA_ARCHS": ARCHITECTURES,
        "NVTE_PYTORCH_FORCE_BUILD": "TRUE",
        **{name: " ".join([os.environ.get(name, ""), *words]) for name, words in flags.items()},
        "PATH": os.pathsep.join([str(environment / "bin"), os.environ["PATH"]]),
    }


def install(engine: str, folder: Path, uv: Path) -> None:
    """Bring folder/<engine> to its list, and install this clone into it. uv: the program

    Raises UserError when a step fails; uv has printed why.
    """
    environment = folder / engine
    wheels, built = lines_of(engine)
    (folder / f"{engine}.txt").write_text("\n".join(wheels) + "\n")
    # uv's cache beside the environments: they share its files by hard links, and no home directory fills up.
    pip = [
        str(uv),
        "pip",
        "install",
        "--quiet",
        f"--cache-dir={folder / 'cache'}",
        f"--python={environment / 'bin/python'}",
    ]
    steps = [
        [str(uv), "venv", "--quiet", "--allow-existing", f"--python={sys.executable}", str(environment)],
        [*pip, "--no-deps", "-r", str(folder / f"{engine}.txt")],
        *([*pip, "--no-deps", "--no-build-isolation", one] for one in built),
        [*pip, "--no-deps", "--editable", str(ROOT)],
    ]
    for step in steps:
        print(f"{engine}: {' '.join(word for word in step[1:] if not word.startswith('--'))}", flush=True)
        if subprocess.run(step, env=build_environment(environment), check=False).returncode:
            raise UserError(
                f"{engine}: `{' '.join(step)}` failed with the message above; mend that and give the same command"
            )


def write_interpreters(folder: Path, path: Path) -> None:
    """Write the recipe's `interpreters`, an overlay at `path`, for the engines that are installed in the folder."""
    paths = {name: folder / name / "bin/python" for name in ENGINES if name != "driver"}
    rows = "".join(f"  {name}: {json.dumps(shlex.quote(str(p)))}\n" for name, p in paths.items() if p.exists())
    path.write_text(f"# Written by `make install-gpu`; the last file of --configfile.\ninterpreters:\n{rows}")


def main(argv: list[str]) -> None:
    """Check, install, and write the overlay with the interpreters."""
    parser = argparse.ArgumentParser(prog="python -m envs.install_gpu", description=__doc__)
    parser.add_argument(
        "engines", nargs="*", choices=[*ENGINES], metavar="ENGINE", help=f"of {', '.join(ENGINES)}; all"
    )
    parser.add_argument("--into", type=Path, default=ROOT / ".venvs", help="folder of the environments")
    parser.add_argument(
        "--interpreters", type=Path, default=ROOT / "interpreters.yaml", help="the overlay that is written"
    )
    parser.add_argument(
        "--driver", type=int, help="major version of the GPU nodes' NVIDIA driver, where this is none of them"
    )
    parser.add_argument("--uv", type=Path, help="the program that installs; without it everything is only checked")
    args = parser.parse_args(argv)
    folder, engines = args.into.resolve(), args.engines or [*ENGINES]
    check_gpu(this_machine(), tools_here(folder), engines, args.driver)
    if args.uv:
        for engine in engines:
            install(engine, folder, args.uv.resolve())
        write_interpreters(folder, args.interpreters)


if __name__ == "__main__":
    terminal.run(lambda: main(sys.argv[1:]))
