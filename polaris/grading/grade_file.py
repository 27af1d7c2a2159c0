"""Any file of answers graded, without a run: `polaris grade` (docs/reward.md).

Rows {"gold": text, number or list of them, "response": whole text} or {"gold": ..., "answer": bare answer}; out come
the same rows, in order, with `correct`, `reason` (polaris/grading/answers.py) and `seconds`.
"""

import collections
import json
from pathlib import Path
from typing import Any, Literal

from polaris.grading.answers import Grader, golds_from
from polaris.grading.grading_pool import GradingPool, Verdict
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError

COLUMNS = ("gold", "response", "answer")


def read_answers(path: Path) -> list[dict[str, Any]]:
    """Rows of the file, checked. Raises UserError naming the row and the columns that it has."""
    rows = []
    for where, row in data_rows(path, (*COLUMNS, "set", "problem_id", "sample_id", "finish_reason")):
        found = f"it has {', '.join(row)}"
        if "gold" not in row:
            raise UserError(f"{where}: the column `gold` is missing, the accepted answer or a list of them; {found}")
        if not isinstance(row.get("response", row.get("answer")), str):
            raise UserError(f"{where}: one of the columns `response` and `answer` must be a text; {found}")
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: there is no answer in it")
    return rows


def verdicts_of(
    rows: list[dict[str, Any]], form: Literal["think", "none"], grader: Grader, timeout: float, workers: int
) -> list[Verdict]:
    """A verdict for each row. timeout: seconds for one answer"""
    golds = [golds_from(row["gold"]) for row in rows]
    with GradingPool(timeout, workers, grader) as pool:
        whole = [i for i, row in enumerate(rows) if "response" in row]
        bare = [i for i, row in enumerate(rows) if "response" not in row]
        cut = [rows[i].get("finish_reason") == "length" for i in whole]
        results = pool.grade([(golds[i], rows[i]["response"]) for i in whole], form, cut)
        results += pool.grade_answers([(golds[i], rows[i]["answer"]) for i in bare])
    return [verdict for _, verdict in sorted(zip(whole + bare, results, strict=True), key=lambda pair: pair[0])]


def write_graded(rows: list[dict[str, Any]], verdicts: list[Verdict], out: Path) -> None:
    """The rows with their verdicts as a jsonl file, whole or not at all."""
    partial = out.with_name(out.name + ".partial")
    with partial.open("w") as file:
        for row, v in zip(rows, verdicts, strict=True):
            print(
                json.dumps(row | {"correct": v.correct, "reason": v.reason, "seconds": round(v.seconds, 6)}), file=file
            )
    partial.rename(out)


def counted(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """{reason, correct, responses, share} of each reason, the most common first."""
    counts = collections.Counter((v.reason, v.correct) for v in verdicts)
    return [
        {"reason": reason, "correct": correct, "responses": count, "share": count / len(verdicts)}
        for (reason, correct), count in counts.most_common()
    ]
