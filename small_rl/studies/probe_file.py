r"""The probe of any file of rollouts (docs/probe.md):

    python -m small_rl.studies.probe_file --rollouts rollouts.jsonl --out probe.json [--plot probe.html]

Columns of the file (.parquet, .jsonl or .json): `problem_id`, `sample_id`, `response` (whole text with its
\underline{} spans), `gold` (accepted answer or list of them) and, in every row or in none, `correct`; without it the
responses are graded here.
"""

import argparse
import collections
import json
import os
import sys
from pathlib import Path
from typing import Any

from polaris.evaluation.settings import Resampling
from polaris.grading.answers import golds_from
from polaris.grading.grading_pool import GradingPool
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError
from polaris.stage.manifest import replace_file
from polaris.stage.settings import read_section
from polaris.stage.stage import run_verb
from polaris.stage.terminal import say
from small_rl.studies import probe_page
from small_rl.studies.probe_measures import measure
from small_rl.study_settings import Judge

COLUMNS = ("problem_id", "sample_id", "response", "gold")


def read_rollouts(path: Path) -> list[dict[str, Any]]:
    """Rows of a rollouts file, checked; `gold` as list. Raises UserError naming file, row and column."""
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, Any]] = set()
    for where, row in data_rows(path, (*COLUMNS, "correct")):
        if missing := [name for name in COLUMNS if row.get(name) is None and name != "gold" or name not in row]:
            raise UserError(f"{where}: `{missing[0]}` is missing (needed: {', '.join(COLUMNS)}; optional: correct)")
        if not isinstance(row["response"], str) or not isinstance(row.get("correct", True), bool):
            raise UserError(f"{where}: `response` must be a text, and `correct`, where it is given, true or false")
        if rows and ("correct" in row) != ("correct" in rows[0]):
            raise UserError(f"{where}: `correct` must be in every row or in none")
        entry = row | {"problem_id": str(row["problem_id"]), "gold": golds_from(row["gold"])}
        if "correct" not in row and not entry["gold"]:
            raise UserError(f"{where}: it has neither `correct` nor a gold answer to grade it by")
        if (key := (entry["problem_id"], row["sample_id"])) in seen:
            raise UserError(f"{where}: sample {key[1]} of problem {key[0]} is there twice")
        seen.add(key)
        rows.append(entry)
    if not rows:
        raise UserError(f"{path}: there is no rollout in it")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m small_rl.studies.probe_file", description="The probe of a file of rollouts."
    )
    parser.add_argument("--rollouts", required=True, type=Path, help="a parquet, jsonl or json file")
    parser.add_argument("--out", required=True, type=Path, help="the json file to write")
    parser.add_argument("--plot", type=Path, help="the html page to write")
    parser.add_argument("--format", choices=("think", "none"), default="none", help="think: demand a </think>")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for grading one answer")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1) - 1), help="grading processes")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--resamples", type=int, default=2000, help="bootstrap draws of problems")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", help="a judge's section (docs/probe.md): YAML or JSON file, or JSON itself")
    args = parser.parse_args()
    report = read_section(Resampling, json.dumps({name: getattr(args, name) for name in Resampling.model_fields}))
    judge = read_section(Judge, args.judge) if args.judge else None
    rows = read_rollouts(args.rollouts)
    reasons = None
    if "correct" not in rows[0]:
        with GradingPool(args.timeout, args.workers) as pool:
            verdicts = pool.grade([(row["gold"], row["response"]) for row in rows], args.format)
        rows = [row | {"correct": verdict.correct} for row, verdict in zip(rows, verdicts, strict=True)]
        reasons = dict(collections.Counter(verdict.reason for verdict in verdicts).most_common())
    numbers = measure(rows, report, judge) | {"grading": reasons}
    replace_file(args.out, json.dumps(numbers, indent=1) + "\n")
    if args.plot:
        replace_file(args.plot, probe_page.page(numbers))
    say(probe_page.summary(numbers), sys.stderr)


if __name__ == "__main__":
    run_verb(main)
