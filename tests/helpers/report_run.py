"""A small run folder, made through the contract of a stage: what the report reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from polaris.stage import manifest
from polaris.stage.records import DIVERSITY, GRADED, PROBLEMS, write_rows
from polaris.stage.settings import Section
from polaris.stage.stage import Stage

# right responses of each problem, as marks: {"p0": "1100", ...}
Marks = dict[str, str]


class Nothing(Section):
    """Settings of a stage that has none."""


class Validated(Section):
    """Settings of an RL stage, as far as the report reads them."""

    validation: dict[str, Any] = Field(alias="validate")


class Given(Section, extra="allow"):
    """Any settings."""


class Run:
    """Folders of a run: `model`, `scores` and `difficulty` add a stage each."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.paths: dict[str, list[Path]] = {"scores": [], "checkpoints": [], "data": []}

    def _stage(
        self, out: str, inputs: dict[str, Any], settings: Section | None = None, module: str = "polaris.stage.manifest"
    ) -> Stage:
        read = {
            name: list(map(manifest.read, path)) if isinstance(path, list) else manifest.read(path)
            for name, path in inputs.items()
        }
        return Stage(module, settings or Nothing(), read, self.folder / out, "by hand")

    def model(
        self,
        name: str,
        weights: str,
        curve: Sequence[dict[str, Any]] = (),
        steps: int | None = None,
        folder: str = "",
        validated: Sequence[dict[str, Any]] = (),
        warned: Sequence[dict[str, Any]] = (),
        **inputs: str,
    ) -> None:
        """A checkpoint whose weight file holds `weights`; inputs: flag -> folder of an earlier checkpoint.

        validated: lines of an evaluation during the training, 4 responses each on chain; warned: of its alarm
        """
        settings = Validated(validate={"benchmark": "chain", "k": 4, "every": 1}) if validated else None
        read = {flag: self.folder / name / "checkpoint.json" for flag, name in inputs.items()}
        with self._stage(f"{folder or name}/checkpoint.json", read, settings) as stage:
            (stage.partial / "model").mkdir()
            (stage.partial / "model" / "config.json").write_text("{}")
            (stage.partial / "model" / "model.safetensors").write_text(weights)
            for log, lines in (("metrics", curve), ("validation", validated), ("alarms", warned)):
                if lines:
                    (stage.log / f"{log}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            stage.publish(planned=steps, reached=steps)
        self.paths["checkpoints"].append(stage.out)

    def rl(self, name: str, start: str, data: str, **settings: Any) -> None:
        """An RL stage's checkpoint: what the report's claims read of it."""
        read = {"start": self.folder / start / "checkpoint.json", "data": self.folder / data / "data.json"}
        with self._stage(f"{name}/checkpoint.json", read, Given(**settings), "small_rl.training.train_rl") as stage:
            (stage.partial / "model").mkdir()
            (stage.partial / "model" / "model.safetensors").write_text(name)
            stage.publish()
        self.paths["checkpoints"].append(stage.out)

    def table(
        self, name: str, text: str, module: str = "polaris.stage.manifest", inputs: Any = None, **settings: Any
    ) -> None:
        """A stage that made data, `text`; inputs: flag -> folder of an earlier one."""
        read = {flag: self.folder / one / "data.json" for flag, one in (inputs or {}).items()}
        with self._stage(f"{name}/data.json", read, Given(**settings), module) as stage:
            (stage.partial / "table").write_text(text)
            stage.publish()

    def scores(self, name: str, benchmarks: dict[str, Marks], cut: Sequence[str] = (), distinct: Any = None) -> None:
        """Verdicts of a model; cut: problems whose responses all reached the length limit.

        Of marks, 1 is right, 0 wrong, - silent, ? ungraded; a response's length is 10 tokens and 10 more per sample.
        distinct: problem -> share of distinct 4-grams, where such a table is to be there
        """
        rows = [
            {
                "set": benchmark,
                "problem_id": problem,
                "sample": sample,
                "tokens": 10 * (1 + sample),
                "finish_reason": "length" if problem in cut else "stop",
                "correct": mark == "1",
                "reason": {"1": "exact", "0": "different", "-": "no_answer", "?": "timeout"}[mark],
                "answer": None if mark == "-" else mark,
            }
            for benchmark, problems in benchmarks.items()
            for problem, marks in problems.items()
            for sample, mark in enumerate(marks)
            if mark != " "
        ]
        with self._stage(f"scores/{name}/data.json", self.responses(name)) as stage:
            write_rows(stage.partial / "graded.parquet", rows, GRADED)
            if distinct:
                table = [
                    {"set": s, "problem_id": p, "distinct": distinct.get(p)} for s in benchmarks for p in benchmarks[s]
                ]
                write_rows(stage.partial / "diversity.parquet", table, DIVERSITY)
            stage.publish()
        self.paths["scores"].append(stage.out)

    def responses(self, name: str) -> dict[str, Any]:
        """Inputs of a model's scores; a subclass makes the stage that generated what they score."""
        return {}

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
        given = {"confidence": 0.95, "resamples": 400, "seed": 0, "generalists": [], "alphas": {}, "pass_k": [2]}
        given |= (
            {"ladder": [], "models": []}
            | {"length_groups": [15, 35], "worst_k": 2, "select_on": [], "selected": None}
            | {
                "published": None,
                "published_values": None,
                "self_distillation": None,
                "planned": None,
                "extra_evaluations": {},
                "dates": {},
                "model_dates": {},
            }
            | settings
        )
        flags = [[f"--{flag}", *map(str, paths)] for flag, paths in self.paths.items() if paths]
        out = ["--settings", json.dumps(given), "--out", str(self.folder / "report" / "data.json")]
        return out + [word for flag in flags for word in flag]
