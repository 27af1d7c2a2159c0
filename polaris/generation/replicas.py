"""Several engines at once: `engine.replicas` on every node of the job, each with its own GPUs and every n-th missing
response.

Or one engine on every `engine.nodes` nodes (polaris/generation/vllm_nodes.py).

All add shards to one folder, which every node sees. Each response has its own seed, so that it depends neither on the
engine nor on the number of nodes: only the profile sets that number, and an interrupted generation may continue on
another one.

`side_by_side` starts them and follows their shards. `python -m polaris.generation.replicas JOB` is the part of one node
of several, started by srun; `python -m polaris.generation.replicas JOB NUMBER RANK` is one engine, or what of it is on
its node number RANK.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polaris.generation import vllm_engine
from polaris.generation.answering import Shards, answer
from polaris.generation.settings import Engine, Sampling
from polaris.generation.vllm_nodes import Meeting, Workers
from polaris.models.prompts import load_tokenizer
from polaris.stage import subprocesses
from polaris.stage.errors import UserError
from polaris.stage.nodes import on_every_node, own_python
from polaris.stage.stage import run_verb

LOOK = 2.0  # seconds between looks at the shards
ARRIVAL = (
    120.0  # seconds that another node's last shards may take to be seen here; NFS keeps a folder's listing for up to 60
)
TODO = "todo.parquet"
FAILED = re.compile(r"^error: (node .+)", re.MULTILINE | re.DOTALL)  # what a node's part says, and srun after it
BATCH = 1024  # requests that an engine's process holds as Python's lists


def side_by_side(
    todo: list[vllm_engine.Request],
    model: Path,
    engine: Engine,
    sampling: Sampling,
    shards: Shards,
    log: Path,
    report: Callable[[], None],
    nodes: int,
    more: Mapping[str, Any] = MappingProxyType({}),
    canaries: Path | None = None,
) -> None:
    """Generate every response of `todo` with `engine.replicas` engines on each of the job's nodes.

    report: called as shards come in; log: of the engines, each with its number in the name; more, canaries: as in
    VllmEngine
    Raises UserError with the end of the log of the first engine that fails; all others are stopped, on all nodes.
    """
    engines = engines_of(engine, nodes)
    rows = {name: [getattr(request, name) for request in todo] for name in ("key", "prompt", "seed")}
    pq.write_table(pa.table(rows), shards.folder / TODO)
    job = shards.folder / "replicas.json"
    parts = {
        "launch": f"{os.getpid()}-{time.time_ns()}",
        "model": str(model),
        "engine": engine.model_dump(mode="json"),
        "sampling": sampling.model_dump(mode="json"),
        "more": dict(more),
        "canaries": str(canaries) if canaries else None,
    }
    job.write_text(json.dumps(parts | {"log": str(log), "engines": engines}))

    def look() -> None:
        shards.look()
        report()

    if nodes == 1:
        run_engines(job, 0, look)
    else:
        run_nodes(job, nodes, log.with_name("nodes.log"), look)
    await_shards(shards, {request.key for request in todo})


def engines_of(engine: Engine, nodes: int) -> int:
    """How many engines the job's nodes hold. Raises UserError where one would lack some of its nodes."""
    if nodes % engine.nodes:
        raise UserError(
            f"engine.nodes: an engine takes {engine.nodes} nodes, but this job has {nodes}; reserve a multiple of "
            "them in the profile"
        )
    return nodes * engine.replicas // engine.nodes


def run_engines(job: Path, node: int, look: Callable[[], None] = lambda: None) -> None:
    """The engines of the job's node number `node`, which is this one. Raises UserError as soon as one fails."""
    job_settings = json.loads(job.read_text())
    engine, log = Engine(**job_settings["engine"]), Path(job_settings["log"])
    first, rank = node * engine.replicas // engine.nodes, node % engine.nodes
    numbers = range(first, first + engine.replicas)
    commands = [
        [own_python(), "-m", "polaris.generation.replicas", str(job), str(number), str(rank)] for number in numbers
    ]
    logs = [own_log(log, number, rank) for number in numbers]
    subprocesses.run_together(commands, logs, environments(engine), look, LOOK)


def run_nodes(job: Path, nodes: int, log: Path, look: Callable[[], None]) -> None:
    """`run_engines` on every node. Raises UserError with what the first node to fail said; srun ends the others."""
    before = log.stat().st_size if log.exists() else 0  # what an earlier try said
    command = on_every_node(nodes, [own_python(nodes), "-m", "polaris.generation.replicas", str(job)])
    try:
        subprocesses.run_together([command], [log], [{}], look, LOOK)
    except UserError as error:
        failure = FAILED.search(log.read_bytes()[before:].decode(errors="replace"))
        raise UserError(failure[1].rstrip() if failure else str(error)) from None


def await_shards(shards: Shards, keys: set[int]) -> None:
    """Read the last shards. Raises UserError when some of the responses do not come to be seen."""
    deadline = time.monotonic() + ARRIVAL
    shards.look()
    while missing := len(keys - shards.rows.keys()):
        if time.monotonic() > deadline:
            raise UserError(
                f"{missing} of {len(keys)} responses are in no shard in {shards.folder}, although every engine has "
                "ended well: do all nodes write to the same file system? Run it again to generate what is missing"
            )
        time.sleep(LOOK)
        shards.look()


def own_log(log: Path, number: int, rank: int) -> Path:
    return log.with_name(f"{log.stem}-{number}{f'-node{rank}' if rank else ''}{log.suffix}")


def environments(engine: Engine) -> list[dict[str, str]]:
    """Of each engine of this node: its GPUs among the job's, and its share of the processors, where none is given.

    Raises UserError when the job has fewer GPUs on this node than the engines need.
    """
    needed = engine.gpus_per_node
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(needed)))
    gpus, width = visible.split(",") if engine.device == "cuda" else [], needed // engine.replicas
    if engine.device == "cuda" and len(gpus) < needed:
        raise UserError(
            f"engine: {engine.replicas} replicas with {width} GPUs each on a node, but this one has {len(gpus)} "
            f"(CUDA_VISIBLE_DEVICES={visible})"
        )
    threads = str(max(1, len(os.sched_getaffinity(0)) // engine.replicas))
    return [
        {
            "CUDA_VISIBLE_DEVICES": ",".join(gpus[n * width : (n + 1) * width]),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
        }
        for n in range(engine.replicas)
    ]


def share(todo: Path, number: int, engines: int) -> Iterator[vllm_engine.Request]:
    """Every n-th request, so that the responses to a hard problem, which are long, are spread over the engines."""
    table = pq.read_table(todo)
    for batch in table.take(pa.array(range(number, len(table), engines), pa.int64())).to_batches(BATCH):
        for row in batch.to_pylist():
            yield vllm_engine.Request(**row)


def run_engine(job: Path, number: int, rank: int) -> None:
    """One engine: its share of the requests into shards of its own. On its other nodes: workers for it."""
    job_settings = json.loads(job.read_text())
    model, engine = Path(job_settings["model"]), Engine(**job_settings["engine"])
    sampling = Sampling(**job_settings["sampling"])
    log = own_log(Path(job_settings["log"]), number, rank)
    meeting = Meeting(job.parent, job_settings["launch"], number) if engine.nodes > 1 else None
    more = job_settings["more"] | (meeting.place(engine.nodes, rank).arguments() if meeting else {})
    canaries = Path(job_settings["canaries"]) if job_settings["canaries"] else None
    if meeting and rank:
        with Workers(model, engine, sampling, log, more) as workers:
            workers.serve(meeting)
        return
    requests, tokenizer = share(job.with_name(TODO), number, job_settings["engines"]), load_tokenizer(model)
    shards = Shards(job.parent, writer=number, others=False)
    with vllm_engine.VllmEngine(model, engine, sampling, log, more, canaries) as running:
        answer(requests, running, shards, tokenizer)
        if meeting:
            meeting.end()  # before the engine stops, whose workers there would miss it


def main() -> None:
    job, *part = sys.argv[1:]
    if part:
        vllm_engine.work_offline()
        run_engine(Path(job), *map(int, part))
        return
    try:
        run_engines(Path(job), int(os.environ["SLURM_PROCID"]))
    except UserError as error:
        raise UserError(f"node {os.environ['SLURMD_NODENAME']}: {error}") from None


if __name__ == "__main__":
    run_verb(main)
    vllm_engine.leave()
