"""A Slurm of two virtual nodes with fake GPUs on this machine: no systemd, no munge, everything in one folder."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLIENTS = ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
CONFIG = """
ClusterName=toy
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/spool/ctld
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobs.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,defer_batch
MpiDefault=none
ReturnToService=2
MinJobAge=300
KillWait=3
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=12000 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=12000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=n1,n2 MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be no Slurm here."""
    absent = [name for name in ("slurmctld", "slurmd", *CLIENTS) if not shutil.which(name)]
    if absent:
        return f"not installed: {' '.join(absent)} (Debian: slurmctld slurmd slurm-client)"
    return None if os.geteuid() == 0 else "its daemons need root here"


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _write(folder: Path) -> None:
    for name in ("run", "log", "dev", "bin", "spool/ctld", "spool/n1", "spool/n2"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname()
    (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, host=host, ports=_free_ports(3)))
    for number in range(2):
        (folder / f"dev/gpu{number}").touch()
    (folder / "gres.conf").write_text(f"NodeName=n1,n2 Name=gpu File={folder}/dev/gpu[0-1]\n")
    for name in CLIENTS:  # Snakemake's job step forgets SLURM_CONF before it calls srun
        shim = folder / "bin" / name
        shim.write_text(f'#!/bin/sh\nexport SLURM_CONF={folder}/slurm.conf\nexec {shutil.which(name)} "$@"\n')
        shim.chmod(0o755)


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Start the daemons; environment in which `sbatch` and the others talk to them. Stops them by their pids."""
    _write(folder)
    # Jobs find the project's Python where the tests run it from.
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    try:
        subprocess.run(["slurmctld"], env=environment, check=True)
        for node in ("n1", "n2"):
            subprocess.run(["slurmd", "-N", node], env=environment, check=True)
        deadline = time.monotonic() + 30
        states = ["sinfo", "--noheader", "--Node", "--partition=gpu", "--format=%T"]
        while (
            subprocess.run(states, check=False, env=environment, capture_output=True, text=True).stdout.split()
            != ["idle"] * 2
        ):
            assert time.monotonic() < deadline, (folder / "log/slurmctld.log").read_text()[-3000:]
            time.sleep(0.3)
        yield environment
    finally:
        for name in ("slurmd.n1", "slurmd.n2", "slurmctld"):
            pid = folder / "run" / f"{name}.pid"
            if pid.exists():
                subprocess.run(["kill", pid.read_text().strip()], check=False)
