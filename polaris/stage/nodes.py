"""The nodes of a job: one command on each of them, by Slurm's srun inside the job's own allocation, in the stage's
container.
"""

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import spawn
from types import MappingProxyType

import psutil

from polaris.stage.errors import UserError

CONTAINER = "POLARIS_CONTAINER"  # environment variable of a stage: the words that start a command in its container


def interpreter(tool: str, environment: Mapping[str, str] = MappingProxyType({})) -> str:
    """How the Python of one of the recipe's `tools` is started: `python` (this one), a path, or a container's command
    that ends with one.

    The stage is told of its container, so that what it starts on other nodes runs in the same one.
    environment: variables that are set for it
    """
    *container, python = [sys.executable] if tool == "python" else shlex.split(tool)
    variables = dict(environment) | ({CONTAINER: shlex.join(container)} if container else {})
    assignments = [f"{name}={value}" for name, value in variables.items()]
    return shlex.join([*(["env", *assignments] if assignments else []), *container, python])


def own_python(nodes: int = 1) -> str:
    """The Python for the engines that this process starts: its own, or, where this was forked, one whose processes are
    forked from the same modules (polaris/forking). Other nodes have nothing to fork from.
    """
    return os.fsdecode(spawn.get_executable()) if nodes == 1 else sys.executable


def on_every_node(nodes: int, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` once on each of the job's nodes, and ends with the first that fails.

    Each in the container that this process is in. nodes: 1 gives the command itself. Raises UserError for several nodes
    where this process is in no Slurm job.
    """
    if nodes == 1:
        return list(command)
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        raise UserError(f"nodes: {nodes} nodes need a Slurm job that holds them; this process is in none")
    _check_found("srun", f"nodes: {nodes} nodes are reached")
    # --overlap: the batch step, in which this process runs, holds the same processors.
    return [
        *("srun", f"--jobid={job}", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--overlap"),
        *("--kill-on-bad-exit=1", "--unbuffered", "--cpu-bind=none"),
        *(*shlex.split(os.environ.get(CONTAINER, "")), *command),
    ]


def nodes_of_job() -> int:
    """How many nodes the Slurm job holds in which this process runs; 1 outside of one. Raises UserError when Slurm does
    not say.

    Slurm is asked where Snakemake's job step has taken the answer, SLURM_JOB_NUM_NODES, out of the environment.
    """
    known, job = os.environ.get("SLURM_JOB_NUM_NODES"), os.environ.get("SLURM_JOB_ID")
    if known or not job:
        return int(known or 1)
    _check_found("squeue", "the number of this job's nodes is given")
    try:
        return int(squeue(job, "D"))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip()
        raise UserError(f"squeue: no number of nodes of job {job} ({reason})") from None


def squeue(job: str, letter: str) -> str:
    """One value of a Slurm job, by the letter that squeue's --format has for it.

    Raises OSError or subprocess.SubprocessError where Slurm gives none within a minute.
    """
    question = ["squeue", "--noheader", f"--jobs={job}", f"--format=%{letter}"]
    return subprocess.run(question, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def _check_found(command: str, what: str) -> None:
    """Raises UserError where one of Slurm's commands is not there; what: that is done by it."""
    if shutil.which(command) is None:
        where = " in its container; bind Slurm's commands into it" if os.environ.get(CONTAINER) else ""
        raise UserError(f"{what} by {command}, which this process does not find{where}")


def this_node() -> str:
    """The IPv4 address under which the job's other nodes reach this one.

    Of the interface that the recipe's `environment` names (GLOO_SOCKET_IFNAME); else what its name means, unless that
    leads back to this machine, as 127.0.1.1 does on Debian: then of the interface by which packets leave it.
    """
    if (name := os.environ.get("GLOO_SOCKET_IFNAME")) and (found := _addresses().get(name)):
        return found
    with contextlib.suppress(OSError):
        own = socket.gethostbyname(socket.gethostname())
        if not own.startswith("127."):
            return own
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # an address for examples (RFC 5737): nothing is sent
        return probe.getsockname()[0]
    return "127.0.0.1"


def interface() -> str | None:
    """The network interface that has this node's address, for engines that would ask its name: gloo."""
    own = this_node()
    return next((name for name, address in _addresses().items() if address == own), None)


def _addresses() -> dict[str, str]:
    """IPv4 address by interface."""
    pairs = ((name, one) for name, addresses in psutil.net_if_addrs().items() for one in addresses)
    return {name: one.address for name, one in pairs if one.family == socket.AF_INET}


def free_port(address: str) -> int:
    """A TCP port of this node that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]
