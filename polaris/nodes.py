"""The nodes of a job: one command on each of them, by Slurm's srun inside the job's own allocation, in the stage's container."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence

from polaris.errors import UserError

CONTAINER = "POLARIS_CONTAINER"  # environment variable of a stage: the words that start a command in its container


def interpreter(tool: str) -> str:
    """How the Python of one of the recipe's `tools` is started: `python` (this one), a path, or a container's command that ends with one.

    The stage is told of its container, so that what it starts on other nodes runs in the same one.
    """
    if tool == "python":
        return sys.executable
    *container, python = shlex.split(tool)
    return shlex.join(["env", f"{CONTAINER}={shlex.join(container)}", *container, python]) if container else tool


def on_every_node(nodes: int, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` once on each of the job's nodes, and ends with the first that fails.

    Each in the container that this process is in. nodes: 1 gives the command itself. Raises UserError for several nodes where this process is in no Slurm job.
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
    """How many nodes the Slurm job holds in which this process runs; 1 outside of one. Raises UserError when Slurm does not say.

    Slurm is asked where Snakemake's job step has taken the answer, SLURM_JOB_NUM_NODES, out of the environment.
    """
    told, job = os.environ.get("SLURM_JOB_NUM_NODES"), os.environ.get("SLURM_JOB_ID")
    if told is None and job:
        _check_found("squeue", "how many nodes this job has is told")
        question = ["squeue", "--noheader", f"--jobs={job}", "--format=%D"]
        answer = subprocess.run(question, check=False, capture_output=True, text=True)
        if answer.returncode or not answer.stdout.strip().isdecimal():
            raise UserError(f"{' '.join(question)}: no number of nodes ({answer.stderr.strip() or answer.stdout!r})")
        told = answer.stdout
    return int(told or 1)


def _check_found(command: str, what: str) -> None:
    """Raises UserError where one of Slurm's commands is not there; what: that is done by it."""
    if shutil.which(command) is None:
        where = " in its container; bind Slurm's commands into it" if os.environ.get(CONTAINER) else ""
        raise UserError(f"{what} by {command}, which this process does not find{where}")


def this_node() -> str:
    """The name under which the job's other nodes reach this one."""
    return socket.gethostname()


def free_port(address: str) -> int:
    """A TCP port of this node that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]
