"""What the manifests of a run record: inputs, settings, code and tools of each stage, its curves, time and counts."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from polaris.evaluation.claims import TrainedStage
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.records import read_problems

# Curves that the report draws: file of a training -> its columns.
TRAINING = ("accuracy", "reward", "loss", "paid_wrong", "reverse_kl")
CURVES = {"log/metrics.jsonl": TRAINING, "log/validation.jsonl": ("avg",)}

ALARMS = "log/alarms.jsonl"


def with_ancestors(manifests: Iterable[Manifest]) -> list[Manifest]:
    """The manifests and everything that they came from, each after its inputs.

    An ancestor that is gone (responses that were cleared away) is left out.
    """
    found: dict[Path, Manifest] = {}

    def visit(stage: Manifest) -> None:
        for path in input_paths(stage):
            if path.resolve() not in found and (parent := _read_if_there(path)):
                visit(parent)
        found.setdefault(stage.path.resolve(), stage)

    for stage in manifests:
        visit(stage)
    return list(found.values())


def input_paths(stage: Manifest, names: Sequence[str] | None = None) -> list[Path]:
    """Paths of a stage's inputs; `names`: only of these flags."""
    chosen = stage.inputs if names is None else {name: stage.inputs[name] for name in names if name in stage.inputs}
    return [path for value in chosen.values() for path in manifest.paths_of(value["path"])]


def _read_if_there(path: Path) -> Manifest | None:
    try:
        return manifest.read(path)
    except UserError:
        return None


def label(stage: Manifest, run: Path) -> str:
    """A stage's folder within the run: `core`, `scores/core`, `merged/alpha=0.30`."""
    folder = stage.folder.resolve()
    return str(folder.relative_to(run)) if folder.is_relative_to(run) else str(stage.folder)


def model_name(stage: str) -> str:
    """What the recipe calls the model of a stage: `merged/alpha=0.30` alpha=0.30, `merged_self/alpha=0.30`
    alpha=0.30_self.
    """
    folder, _, name = stage.rpartition("/")
    return name + (folder.removeprefix("merged") if folder.startswith("merged") else "")


def checkpoint_rows(checkpoints: Sequence[Manifest], run: Path) -> list[dict[str, Any]]:
    """`checkpoints` of results.json: where each model started, its steps, and whether its weights are other ones.

    stage: its folder within the run
    weights_changed: the weight files differ from those of every model that it was made from; null without such a one.
    """
    known = {checkpoint.path.resolve(): checkpoint for checkpoint in checkpoints}
    rows = []
    for checkpoint in checkpoints:
        start = input_paths(checkpoint, ["start"])
        parents = [
            known[p.resolve()] for p in input_paths(checkpoint, ["start", "base", "distilled"]) if p.resolve() in known
        ]
        rows.append(
            {
                "name": model_name(label(checkpoint, run)),
                "stage": label(checkpoint, run),
                "start": start[0].parent.name if start else None,
                "steps": checkpoint.steps.get("reached"),
                "weights_changed": all(_weights(checkpoint) != _weights(p) for p in parents) if parents else None,
                "metrics": checkpoint.metrics,
            }
        )
    return rows


def _weights(checkpoint: Manifest) -> set[str]:
    return {file["xxh3"] for name, file in checkpoint.files.items() if name.endswith(".safetensors")}


def rl_stages(checkpoints: Sequence[Manifest]) -> list[TrainedStage]:
    """The RL stages among the checkpoints, with what their manifests and those of their data say."""
    return [_rl_stage(checkpoint) for checkpoint in checkpoints if _verb(checkpoint) == "train_rl"]


def _verb(stage: Manifest) -> str:
    """The module's own name, as `train_rl`."""
    return stage.module.rpartition(".")[2]


def _rl_stage(checkpoint: Manifest) -> TrainedStage:
    (start,), (path,) = (input_paths(checkpoint, [name]) for name in ("start", "data"))
    problems, overlap, data = checkpoint.inputs["data"]["content"], None, _read_if_there(path)
    if data and _verb(data) == "filter_overlap":
        (path,) = input_paths(data, ["responses"])
        rollouts = _read_if_there(path)
        problems = data.inputs["problems"]["content"]
        overlap = {**data.settings, "rollouts": rollouts and rollouts.settings}
    return TrainedStage(checkpoint.stage, start.parent.name, checkpoint.settings, problems, overlap)


def curve_rows(checkpoints: Sequence[Manifest]) -> list[dict[str, Any]]:
    """`curves` of results.json: {stage, metric, steps, values} from each training's logs; `avg` with its benchmark and
    k.

    What is no finite number is left out. Raises UserError for a line that is no JSON.
    """
    rows = []
    for checkpoint in checkpoints:
        for log, metrics in CURVES.items():
            by_step = _by_step(checkpoint.file(log)) if log in checkpoint.files else {}
            for metric in metrics:
                points = [(step, entry[metric]) for step, entry in by_step.items() if _finite(entry.get(metric))]
                if points:
                    steps, values = zip(*points, strict=True)
                    row = {"stage": checkpoint.stage, "metric": metric, "steps": steps, "values": values}
                    validation = checkpoint.settings["validate"] if metric == "avg" else {}
                    rows.append(row | {name: validation[name] for name in ("benchmark", "k") if validation})
    return rows


def warning_rows(checkpoints: Sequence[Manifest]) -> list[dict[str, Any]]:
    """`warnings` of results.json: {stage, step, text}, what the alarm of each RL stage said (small_rl.rollouts.alarm).

    Raises UserError for a line that is no JSON.
    """
    return [
        {"stage": checkpoint.stage, "step": step, "text": str(entry.get("text"))}
        for checkpoint in checkpoints
        if ALARMS in checkpoint.files
        for step, entry in _steps(checkpoint.file(ALARMS))
    ]


def _by_step(log: Path) -> dict[int, dict[str, Any]]:
    """A log's lines by their steps, which rise; a step that was done again after a crash counts as it was last done."""
    return dict(sorted(dict(_steps(log)).items()))


def _steps(log: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of a log, each with its step. Raises UserError for a line that is none."""
    for number, line in enumerate(log.read_text().splitlines(), 1):
        try:
            entry = json.loads(line)
            yield int(entry["step"]), entry
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{log}: line {number}: not the metrics of a step (JSON with a `step`); rerun the stage"
            ) from None


def _finite(value: Any) -> bool:
    """A number that can be drawn and written as JSON."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def difficulty_rows(data: Sequence[Manifest]) -> list[dict[str, Any]]:
    """`difficulty` of results.json: how many problems had 0 to k right responses, of all and of those kept.

    From each stage with a difficulty.parquet (`correct` of `k` per problem); kept are those of its problems.parquet.
    """
    rows = []
    for stage in (stage for stage in data if "difficulty.parquet" in stage.files):
        path, kept = stage.file("difficulty.parquet"), read_problems(stage.file("problems.parquet"))
        table = pq.read_table(path, columns=["problem_id", "correct", "k"]).to_pylist()
        k = max(row["k"] for row in table)
        rows.append(
            {
                "stage": stage.stage,
                "k": k,
                "all": _counted([row["correct"] for row in table], k),
                "kept": _counted([row["correct"] for row in table if row["problem_id"] in kept], k),
            }
        )
    return rows


def _counted(correct_P: Sequence[int], k: int) -> list[int]:
    """Problems with 0, 1, ..., k right responses."""
    return [correct_P.count(right) for right in range(k + 1)]


def timing_rows(manifests: Sequence[Manifest], run: Path) -> list[dict[str, Any]]:
    """`timings` of results.json: wall seconds and peak memory (MB, of all processes) of each stage's last attempt, and
    the bytes of what it published.

    Time and memory from Snakemake's benchmark.tsv beside the manifest; without it, the stage's own clock and no memory.
    Snakemake does not see a process that was forked for it (polaris/forking), which says itself what it took.
    """
    rows = []
    for stage in manifests:
        measured = _benchmark(stage.folder / "benchmark.tsv")
        seconds, memory = _number(measured.get("s")), _number(measured.get("max_rss"))
        rows.append(
            {
                "stage": label(stage, run),
                "seconds": stage.seconds if seconds is None else seconds,
                "max_rss": None if memory is None else max(memory, stage.memory or 0.0),
                "bytes": sum(file["size"] for file in stage.files.values()),
            }
        )
    return rows


def _benchmark(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return rows[-1] if rows else {}


def _number(text: str | None) -> float | None:
    """Snakemake writes `-` or `NA` for what it could not measure."""
    try:
        return float(text or "")
    except ValueError:
        return None


def lineage_rows(manifests: Sequence[Manifest], run: Path) -> list[dict[str, Any]]:
    """`lineage` of results.json: what each stage was made with and from, as digests."""
    labels = {stage.path.resolve(): label(stage, run) for stage in manifests}
    return [
        {
            "stage": label(stage, run),
            "module": stage.module,
            "settings": manifest.digest_of(stage.settings),
            "code": stage.code,
            "content": stage.content,
            "inputs": [labels.get(path.resolve(), str(path)) for path in input_paths(stage)],
            "tools": stage.tools,
        }
        for stage in manifests
    ]
