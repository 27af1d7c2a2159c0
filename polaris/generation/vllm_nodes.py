"""One vLLM engine on several nodes, by vLLM's own means (`--nnodes`) and without Ray.

The process on its first node holds the requests; those on its other nodes hold nothing but workers. They meet at an
address that the first one writes into a folder that all of them see, and the others end once it says that it is done.
"""

import json
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from polaris.generation.vllm_engine import VllmEngine
from polaris.stage.errors import UserError
from polaris.stage.manifest import replace_file
from polaris.stage.nodes import free_port, this_node

LOOK = 1.0  # seconds between looks into the folder
START = 600.0  # seconds that the first node may take to write its address, while Python starts there
ARRIVAL = 120.0  # seconds that its last word may take to be seen here; NFS keeps a folder's listing for up to 60


@dataclass(frozen=True)
class Place:
    """Where a process of the engine stands among its `nodes`, and where the first of them is reached."""

    nodes: int
    rank: int
    address: str
    port: int

    def arguments(self) -> dict[str, Any]:
        """Of vLLM's EngineArgs."""
        arguments = {
            "nnodes": self.nodes,
            "node_rank": self.rank,
            "master_addr": self.address,
            "master_port": self.port,
        }
        return arguments | {"distributed_executor_backend": "mp"}


class Meeting:
    """The first node's address and its end, in files that belong to one launch of one engine."""

    def __init__(self, folder: Path, launch: str, engine: int):
        self._address, self._done = (folder / f"engine-{engine}-{launch}.{what}" for what in ("json", "done"))

    def place(self, nodes: int, rank: int) -> Place:
        """This process's place. The first node's writes its address; the others wait for it.

        Raises UserError when it does not come.
        """
        if rank == 0:
            address = this_node()
            place = Place(nodes, 0, address, free_port(address))
            replace_file(self._address, json.dumps(asdict(place)))
            return place
        self._await(self._address, START, "the first node of this engine has written no address")
        return Place(**json.loads(self._address.read_text()) | {"rank": rank})

    def end(self) -> None:
        """Tell the other nodes that everything is done."""
        self._done.touch()

    def ended(self) -> bool:
        return self._done.exists()

    def await_end(self) -> None:
        """Raises UserError when the end does not come to be seen."""
        self._await(self._done, ARRIVAL, "workers on this node have ended before the engine's first node was done")

    def _await(self, path: Path, seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not path.exists():
            if time.monotonic() > deadline:
                raise UserError(f"{otherwise} ({path})")
            time.sleep(LOOK)


class Workers(VllmEngine):
    """The workers of a node that is not the first of its engine. A context manager; see VllmEngine."""

    def _open(self, arguments: Any) -> None:
        from vllm.v1.executor.multiproc_executor import MultiprocExecutor

        # As vllm/entrypoints/cli/serve.py, run_headless.
        self._executor = MultiprocExecutor(arguments.create_engine_config(headless=True), monitor_workers=False)

    def _close(self) -> None:
        self._executor.shutdown()

    def serve(self, meeting: Meeting) -> None:
        """Work until the first node is done. Raises UserError when a worker ends before."""
        with self._explained():
            sentinels = [worker.proc.sentinel for worker in self._executor.workers]
            while not meeting.ended():
                if wait(sentinels, LOOK):
                    meeting.await_end()
