"""The processes of Megatron: torchrun on every node of the layout, followed until it ends."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from large_sft.settings import Placed
from large_sft.training import torchrun_node
from polaris.stage import subprocesses
from polaris.stage.errors import UserError
from polaris.stage.nodes import free_port, on_every_node, own_python, this_node

# Lines of torchrun's report on what has failed.
RANK = re.compile(r"\s*rank\s*: (\d+) ")
ENDED = re.compile(r"\s*traceback : Signal \d+ \((?!SIGTERM)(SIG\w+)\)")
# SignalException: torchrun was stopped, by us at the limit.
CAUSE = re.compile(r"error: (.+)|(?:\[rank\d+\]: )?((?!\S*SignalException)(?:\w+\.)*\w*(?:Error|Exception): .+)")


def launch(module: str, job: Path, settings: Placed, log: Path, follow: Callable[[str], None]) -> None:
    """Run `module` with `job` as its word in the layout's processes; `follow` gets their lines. Raises UserError."""
    nodes, processes = settings.layout.nodes, settings.layout.gpus_per_node
    head = "127.0.0.1" if nodes == 1 else this_node()
    command = [
        # Of torchrun; its ranks are Python itself, as they end with their parent (rank.py).
        *(own_python(nodes), "-m", torchrun_node.__name__),
        *("--nnodes", str(nodes), "--nproc-per-node", str(processes)),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{head}:{free_port(head)}", "--rdzv-id", job.parent.name),
        *("-m", module, str(job)),
    ]
    threads = str(max(1, len(os.sched_getaffinity(0)) // processes))
    environment = {
        **({"GLOO_SOCKET_IFNAME": "lo"} if nodes == 1 else {}),
        # Transformer Engine under sequence parallelism needs kernels in the order of their launch.
        "CUDA_DEVICE_MAX_CONNECTIONS": "1",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,  # torch counts as MKL does, which else has Snakemake's number: that of --cores
    }
    causes: list[str] = []
    rank = ""

    def on_line(line: str) -> None:
        nonlocal rank
        if match := CAUSE.match(line):
            causes.append(match[1] or match[2])
        elif match := RANK.match(line):
            rank = match[1]
        elif match := ENDED.match(line):
            # It printed no reason; the other ranks' errors are only consequences.
            causes.insert(0, f"rank {rank} was killed by {match[1]}: out of memory, or by a person or the scheduler")
        else:
            follow(line)

    try:
        subprocesses.run(on_every_node(nodes, command), log, environment, settings.timeout, on_line)
    except UserError as error:
        # The first process to fail tells why; the log ends with what the others and torchrun say about that.
        raise UserError(f"{causes[0]} (all of it: {log})" if causes else str(error)) from None
