r"""The probe of any file of rollouts: `polaris probe` (docs/probe.md).

Columns of the file (.parquet, .jsonl, .json or .csv): `problem_id`, `sample_id` (or `sample`), `response` (whole text
with its \underline{} spans), `gold` (accepted answer or list of them; or the problems beside it) and, in every row or
in none, `correct`; without it the responses are graded here. A run's own responses.parquet is such a file.
"""

import collections
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from polaris.evaluation.settings import Resampling
from polaris.grading.answers import golds_from
from polaris.grading.grading_pool import GradingPool
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError
from polaris.stage.manifest import replace_file
from small_rl.studies import probe_page
from small_rl.studies.probe_measures import measure
from small_rl.study_settings import Judge

COLUMNS = ("problem_id", "sample_id", "response", "gold")


def read_rollouts(path: Path, golds: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Rows of a rollouts file, checked; `gold` as list. Raises UserError naming file, row and column.

    golds: accepted answers by problem id, and by set/id, for a file without `gold`
    """
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, Any]] = set()
    for where, row in data_rows(path, (*COLUMNS, "correct", "sample", "set")):
        row = {"sample_id": row.get("sample"), **row}
        if golds is not None and row.get("gold") is None:
            # Two sets may use the same ids: with a set only its own problems count.
            row["gold"] = golds.get(
                "/".join(str(row[name]) for name in ("set", "problem_id") if row.get(name) is not None)
            )
        row = {name: value for name, value in row.items() if name != "correct" or value is not None}
        if missing := [name for name in COLUMNS if row.get(name) is None and name != "gold" or name not in row]:
            other = "; --problems FILE gives it too" if missing[0] == "gold" else ""
            raise UserError(
                f"{where}: `{missing[0]}` is missing (needed: {', '.join(COLUMNS)}; optional: correct){other}"
            )
        if not isinstance(row["response"], str) or not isinstance(row.get("correct", True), bool):
            raise UserError(f"{where}: `response` must be a text, and `correct`, where it is given, true or false")
        if rows and ("correct" in row) != ("correct" in rows[0]):
            raise UserError(f"{where}: `correct` must be in every row or in none")
        problem = "/".join(str(row[name]) for name in ("set", "problem_id") if row.get(name) is not None)
        entry = row | {"problem_id": problem, "gold": golds_from(row["gold"])}
        if "correct" not in row and not entry["gold"]:
            raise UserError(f"{where}: it has neither `correct` nor a gold answer to grade it by")
        if (key := (problem, row["sample_id"])) in seen:
            raise UserError(f"{where}: sample {key[1]} of problem {key[0]} is there twice")
        seen.add(key)
        rows.append(entry)
    if not rows:
        raise UserError(f"{path}: there is no rollout in it")
    return rows


def probe(
    rows: list[dict[str, Any]],
    report: Resampling,
    judge: Judge | None,
    form: Literal["think", "none"],
    timeout: float,
    workers: int,
) -> dict[str, Any]:
    """What probe.json holds of these rollouts; without `correct` they are graded here.

    timeout: seconds for one answer
    """
    reasons = None
    if "correct" not in rows[0]:
        with GradingPool(timeout, workers) as pool:
            verdicts = pool.grade([(row["gold"], row["response"]) for row in rows], form)
        rows = [row | {"correct": verdict.correct} for row, verdict in zip(rows, verdicts, strict=True)]
        reasons = dict(collections.Counter(verdict.reason for verdict in verdicts).most_common())
    return measure(rows, report, judge) | {"grading": reasons}


def write(numbers: dict[str, Any], out: Path | None, page: Path | None) -> None:
    """The numbers as JSON, and as a page, where they are wanted."""
    if out:
        replace_file(out, json.dumps(numbers, indent=1) + "\n")
    if page:
        replace_file(page, probe_page.page(numbers))
