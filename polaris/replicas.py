"""Several engines side by side on one node, each with its own GPUs and every n-th of the missing responses.

`python -m polaris.replicas JOB NUMBER` is one of them; `side_by_side` starts them and follows their shards. A response's seed is its
own, so that it does not depend on who generates it.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from polaris import child, vllm_engine
from polaris.answering import Shards, answer
from polaris.prompts import load_tokenizer
from polaris.settings import Engine, Sampling

LOOK = 2.0  # seconds between looks at the shards


def side_by_side(
    todo: list[vllm_engine.Request],
    model: Path,
    engine: Engine,
    sampling: Sampling,
    shards: Shards,
    log: Path,
    report: Callable[[], None],
) -> None:
    """Generate every response of `todo` with `engine.replicas` engines; `report` is called as shards come in.

    Raises UserError with the end of the log of the first engine that fails; the others are stopped.
    """
    rows = {name: [getattr(request, name) for request in todo] for name in ("key", "prompt", "seed")}
    pq.write_table(pa.table(rows), shards.folder / "todo.parquet")
    job = shards.folder / "replicas.json"
    parts = {
        "model": str(model),
        "engine": engine.model_dump(mode="json"),
        "sampling": sampling.model_dump(mode="json"),
    }
    job.write_text(json.dumps(parts | {"log": str(log)}))
    commands = [[sys.executable, "-m", "polaris.replicas", str(job), str(n)] for n in range(engine.replicas)]

    def look() -> None:
        shards.look()
        report()

    child.run_together(commands, [own_log(log, n) for n in range(engine.replicas)], environments(engine), look, LOOK)
    shards.look()


def own_log(log: Path, number: int) -> Path:
    return log.with_name(f"{log.stem}-{number}{log.suffix}")


def environments(engine: Engine) -> list[dict[str, str]]:
    """Of each engine: its GPUs among this job's, and its share of the processors."""
    width = engine.tensor_parallel
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(engine.replicas * width)))
    gpus = visible.split(",")
    threads = str(max(1, len(os.sched_getaffinity(0)) // engine.replicas))
    return [
        {"CUDA_VISIBLE_DEVICES": ",".join(gpus[n * width : (n + 1) * width]), "OMP_NUM_THREADS": threads}
        for n in range(engine.replicas)
    ]


def main() -> None:
    vllm_engine.work_offline()
    job, number = Path(sys.argv[1]), int(sys.argv[2])
    asked = json.loads(job.read_text())
    model, engine, sampling = Path(asked["model"]), Engine(**asked["engine"]), Sampling(**asked["sampling"])
    rows = pq.read_table(job.with_name("todo.parquet")).to_pylist()[number :: engine.replicas]
    requests = (vllm_engine.Request(row["key"], row["prompt"], row["seed"]) for row in rows)
    shards = Shards(job.parent, writer=number)
    log = own_log(Path(asked["log"]), number)
    answer(requests, model, engine, sampling, shards, log, load_tokenizer(model), lambda terminal: lambda: None)


if __name__ == "__main__":
    main()
    vllm_engine.leave()
