"""A Ray cluster over the nodes of an RL stage; it lives as long as the stage's process.

`python -m small_rl.training.verl_ray_cluster HEAD PORT GPUS CPUS FOLDER` runs on every node, started by srun where
there are several: the first runs Ray's head, the others join. No dashboard, no metrics; Ray refuses clients without
this run's token.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from polaris.stage import subprocesses
from polaris.stage.cuda import require_cuda
from polaris.stage.errors import UserError
from polaris.stage.nodes import free_port, interface, on_every_node, own_python, this_node
from polaris.stage.stage import run_verb

LOOPBACK = "127.0.0.1"

# On one node Ray would take 127.0.0.1 for the machine's outer address, and its servers would listen everywhere
# (ray/_private/services.py, resolve_ip_for_localhost). With its switch for laptops of other systems it does not.
ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

STARTED = "ray_current_cluster"  # in Ray's folder, written when the head is complete (ray._private.utils)
PATIENCE = 300.0  # seconds for that
GRACE = 30.0  # seconds for Ray to stop its processes

QUIET = {
    "RAY_AUTH_MODE": "token",
    "RAY_enable_metrics_collection": "0",
    "DASHBOARD_METRIC_PORT": "-1",  # no port at all: what is left of the dashboard would serve metrics to anyone
}
ON_ONE_NODE = QUIET | ON_LOOPBACK
RAY_FOLDERS = Path("/tmp"), "ray-"  # where they lie, and how their names begin
OUT_OF_MEMORY = "worker(s) based on the killing policy"  # Ray's, when a node's memory is used up to 95 %


@contextlib.contextmanager
def ray_cluster(
    nodes: int, gpus: int, cpus: int | None, folder: Path, log: Path, env: dict[str, str], python: str = sys.executable
) -> Iterator[dict[str, str]]:
    """A running cluster; yields `env` with the variables by which a driver finds it and is admitted.

    gpus: per node, logical ones on a CPU; cpus: logical ones per node, None: as many as the machine has;
    folder: for sockets, a short path that is free on every node; log: of all nodes; python: of its processes
    Raises UserError with the end of the log when Ray does not start, and as `explained` what the block raises.
    """
    head = LOOPBACK if nodes == 1 else this_node()
    port = str(free_port(head))
    env = env | (ON_ONE_NODE if nodes == 1 else QUIET)
    env |= {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    start = [
        python,
        "-m",
        "small_rl.training.verl_ray_cluster",
        head,
        port,
        str(gpus),
        str(cpus or "-"),
        str(folder),
    ]
    with subprocesses.background(on_every_node(nodes, start), log, env) as launcher:
        _wait(launcher, folder / STARTED, log)
        try:
            yield env | {"RAY_ADDRESS": f"{head}:{port}"}
        except UserError as error:
            raise explained(error) from None
        finally:
            # The launcher alone: it stops the others in order, in a second. Signalled together, they deadlock.
            launcher.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                launcher.wait(GRACE)


def explained(error: UserError) -> UserError:
    """What a driver failed of, where Ray ended its workers for want of memory."""
    if OUT_OF_MEMORY not in str(error):
        return error
    return UserError(
        "the machine's memory ran out, and Ray ended this stage's workers: let other programs end, run one stage at a "
        "time (--cores 1) or set a smaller max_tokens_per_gpu; the same command goes on from the last checkpoint. "
        f"{error}"
    )


def _wait(launcher: subprocess.Popen, started: Path, log: Path) -> None:
    """Wait until the head is complete: a driver that comes too early would fail. Raises UserError as `ray_cluster`."""
    deadline = time.monotonic() + PATIENCE
    while not started.exists():
        if launcher.poll() is not None or time.monotonic() > deadline:
            raise UserError(f"Ray did not start; read {log}:\n{subprocesses.tail(log)}")
        time.sleep(0.1)


def ray_start(rank: int, head: str, port: str, gpus: str, cpus: str, folder: str) -> list[str]:
    """Arguments of `ray start` on the job's node number `rank`. head: IPv4 address of the first node."""
    if rank == 0:
        address = head
        role = ["--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false"]
        role.append("--no-monitor")  # no autoscaler
    else:
        address, role = this_node(), [f"--address={head}:{port}"]
    resources = [f"--num-gpus={gpus}"] + ([f"--num-cpus={cpus}"] if cpus != "-" else [])
    # Any free ports: Ray's own range is the same for every cluster of a machine.
    ports = ["--min-worker-port=0", "--max-worker-port=0"]
    return ["start", *role, f"--node-ip-address={address}", *ports, *resources, "--disable-usage-stats", "--block"]


@contextlib.contextmanager
def ray_folder(state: Path) -> Iterator[Path]:
    """A folder with a short path for Ray's sockets (at most 107 characters), removed afterwards.

    state/ray points to it, so that the next start removes it after a kill.
    """
    link, (place, prefix) = state / "ray", RAY_FOLDERS
    if link.is_symlink():
        left = link.readlink()
        if left.parent == place and left.name.startswith(prefix):  # nobody else's folder is removed
            shutil.rmtree(left, ignore_errors=True)
        link.unlink()
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    link.symlink_to(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        link.unlink()


def main() -> None:
    from ray.scripts import scripts

    # Ray's head would also serve drivers elsewhere, on port 10001, and has no switch for it.
    scripts.get_ray_client_dependency_error = lambda: "disabled"  # pyright: ignore[reportPrivateImportUsage]
    if os.environ.get("VERL_PLATFORM") != "cpu":
        require_cuda("verl")
    sys.executable = own_python()  # of what Ray starts
    head, *rest = sys.argv[1:]
    if head != LOOPBACK and (name := interface()):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)  # gloo would take what the node's own name means
    rank = 0 if head == LOOPBACK else int(os.environ["SLURM_PROCID"])
    sys.argv = ["ray", *ray_start(rank, head, *rest)]
    scripts.main()


if __name__ == "__main__":
    run_verb(main)
