"""Small published stages for tests of verbs: the real tables, the real manifests."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polaris.problems.problem_layouts import COLUMNS, read_layout
from polaris.stage import manifest
from polaris.stage.data_files import data_rows
from polaris.stage.records import PROBLEMS, RESPONSES, write_rows
from polaris.stage.settings import Section
from polaris.stage.stage import Stage

GRADING = {"grader": "polaris", "format": "think", "timeout": 20.0, "workers": 1, "max_failure_rate": 0.0}
ENGINE = {
    "device": "cpu",
    "dtype": "float32",
    "max_model_len": 64,
    "max_num_seqs": 4,
    "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1,
    "nodes": 1,
    "kv_cache_dtype": "auto",
    "replicas": 1,
    "kv_cache_gib": 0.1,
    "gpu_memory_utilization": None,
    "yarn": None,
}


class Given(Section):
    """Settings of a stage that only exists for the next one to read."""


def publish(folder: Path, name: str, rows: list[dict[str, Any]], schema: Any) -> Path:
    """A finished data stage with one table; its manifest."""
    with Stage("polaris.stage.manifest", Given(), {}, folder / "data.json", "test") as stage:
        write_rows(stage.partial / name, rows, schema)
        stage.publish()
    return folder / "data.json"


def problems(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A problem set; a row needs `id`, the rest has defaults."""
    full = [{"problem": f"Find {r['id']}.", "answers": [], "source": "test", "solution": None} | r for r in rows]
    return publish(folder, "problems.parquet", full, PROBLEMS)


def read_problem_file(path: Path, name: str) -> list[dict[str, Any]]:
    """Rows of problems.parquet from a benchmark's file; every row has a gold answer."""
    return read_layout(data_rows(path, COLUMNS), name, str(path), "every")


def responses(folder: Path, rows: list[tuple], problem_set: str = "rl") -> Path:
    """Responses from (problem_id, text) or (problem_id, text, finish_reason)."""
    full = [
        {
            "set": problem_set,
            "problem_id": row[0],
            "sample": i,
            "seed": i,
            "response": row[1],
            "tokens": len(row[1]),
            "finish_reason": row[2] if len(row) > 2 else "stop",
        }
        for i, row in enumerate(rows)
    ]
    return publish(folder, "responses.parquet", full, RESPONSES)


def read(path: Path, name: str) -> list[dict[str, Any]]:
    """Rows of a published table."""
    import pyarrow.parquet as pq

    return pq.read_table(manifest.read(path).file(name)).to_pylist()


def run(main: Callable[[], None], *words: object) -> None:
    """A verb's main with these words on its command line."""
    before, sys.argv = sys.argv, ["verb", *map(str, words)]
    try:
        main()
    finally:
        sys.argv = before
