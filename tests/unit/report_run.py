"""A small run folder, made through the contract of a stage: what the report reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from polaris import manifest
from polaris.records import GRADED, PROBLEMS, write_rows
from polaris.settings import Section
from polaris.stage import Stage

# right responses of each problem, as marks: {"p0": "1100", ...}
Marks = dict[str, str]


class Nothing(Section):
    """Settings of a stage that has none."""


class Run:
    """Folders of a run: `model`, `scores` and `difficulty` add a stage each."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.paths: dict[str, list[Path]] = {"scores": [], "checkpoints": [], "data": []}

    def _stage(self, out: str, inputs: dict[str, Path]) -> Stage:
        read = {name: manifest.read(path) for name, path in inputs.items()}
        return Stage("polaris.manifest", Nothing(), read, self.folder / out, "by hand")

    def model(
        self,
        name: str,
        weights: str,
        curve: Sequence[dict[str, Any]] = (),
        steps: int | None = None,
        folder: str = "",
        **inputs: str,
    ) -> None:
        """A checkpoint whose weight file holds `weights`; inputs: flag -> folder of an earlier checkpoint."""
        read = {flag: self.folder / name / "checkpoint.json" for flag, name in inputs.items()}
        with self._stage(f"{folder or name}/checkpoint.json", read) as stage:
            (stage.partial / "model").mkdir()
            (stage.partial / "model" / "config.json").write_text("{}")
            (stage.partial / "model" / "model.safetensors").write_text(weights)
            if curve:
                text = "".join(json.dumps(line) + "\n" for line in curve)
                (stage.log / "metrics.jsonl").write_text(text)
            stage.publish(planned=steps, reached=steps)
        self.paths["checkpoints"].append(stage.out)

    def scores(self, name: str, benchmarks: dict[str, Marks], cut: Sequence[str] = ()) -> None:
        """Verdicts of a model; cut: problems whose responses all reached the length limit."""
        rows = [
            {
                "set": benchmark,
                "problem_id": problem,
                "sample": sample,
                "tokens": 10,
                "finish_reason": "length" if problem in cut else "stop",
                "correct": mark == "1",
                "reason": "equal" if mark == "1" else "different",
                "answer": mark,
            }
            for benchmark, problems in benchmarks.items()
            for problem, marks in problems.items()
            for sample, mark in enumerate(marks)
            if mark != " "
        ]
        with self._stage(f"scores/{name}/data.json", {}) as stage:
            write_rows(stage.partial / "graded.parquet", rows, GRADED)
            stage.publish()
        self.paths["scores"].append(stage.out)

    def difficulty(self, name: str, correct: Sequence[int], k: int, kept: Sequence[bool]) -> None:
        """An RL data stage: right responses of each problem, and which problems stay."""
        ids = [f"p{index}" for index in range(len(correct))]
        empty = {"problem": "?", "answers": ["0"], "source": "here", "solution": None}
        problems = [{"id": one} | empty for one, stays in zip(ids, kept, strict=True) if stays]
        dropped = {"too_easy": len(kept) - sum(kept)}
        with self._stage(f"{name}/data.json", {}) as stage:
            table = pa.table({"problem_id": ids, "correct": correct, "k": [k] * len(ids)})
            pq.write_table(table, stage.partial / "difficulty.parquet")
            write_rows(stage.partial / "problems.parquet", problems, PROBLEMS)
            stage.publish(
                metrics={"kept": sum(kept), "dropped": dropped, "histogram": list(correct), "share": 0.123456}
            )
        self.paths["data"].append(stage.out)

    def arguments(self, **settings: Any) -> list[str]:
        """The command line of the report."""
        given = {"confidence": 0.95, "resamples": 400, "seed": 0, "generalists": [], "alphas": {}} | settings
        flags = [[f"--{flag}", *map(str, paths)] for flag, paths in self.paths.items() if paths]
        out = ["--settings", json.dumps(given), "--out", str(self.folder / "report" / "data.json")]
        return out + [word for flag in flags for word in flag]
