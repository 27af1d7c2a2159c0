"""A Ray cluster over the nodes of a job, for RL stages with `nodes` above 1; it lives as long as the stage's verb.

`python -m small_rl.verl_ray_cluster HEAD PORT GPUS CPUS FOLDER` is started by srun on every node: the first runs Ray's head, the
others join. No dashboard; Ray refuses who does not know the token of this run.
"""

import contextlib
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from polaris import child
from polaris.nodes import free_port, on_every_node, this_node


@contextlib.contextmanager
def ray_cluster(
    nodes: int, gpus: int, cpus: int | None, folder: Path, log: Path, env: dict[str, str]
) -> Iterator[dict]:
    """Environment with which a driver finds the cluster; on one node only a token for the Ray that the driver starts.

    gpus: per node, logical ones on a CPU; cpus: logical ones per node, None as many as the machine has;
    folder: for sockets, of a short path that is free on every node; log: of all nodes
    """
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if nodes == 1:
        yield token
        return
    head = this_node()
    port = str(free_port(head))
    env = env | token
    start = [sys.executable, "-m", "small_rl.verl_ray_cluster", head, port, str(gpus), str(cpus or "-"), str(folder)]
    with child.background(on_every_node(nodes, start), log, env):
        yield env | {"RAY_ADDRESS": f"{head}:{port}"}


def ray_start(rank: int, head: str, port: str, gpus: str, cpus: str, folder: str) -> list[str]:
    """Arguments of `ray start` on the job's node number `rank`."""
    place = [f"--address={head}:{port}"]
    if rank == 0:
        place = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"]
    resources = [f"--num-gpus={gpus}"] + ([f"--num-cpus={cpus}"] if cpus != "-" else [])
    own = socket.gethostbyname(socket.gethostname())
    return ["start", *place, f"--node-ip-address={own}", *resources, "--disable-usage-stats", "--block"]


def main() -> None:
    from ray.scripts.scripts import main as ray

    sys.argv = ["ray", *ray_start(int(os.environ["SLURM_PROCID"]), *sys.argv[1:])]
    ray()


if __name__ == "__main__":
    main()
