"""`polaris grade` and `polaris probe`: files of responses without a run."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from polaris.evaluation.settings import Resampling
from polaris.grading import grade_file
from polaris.grading.answers import Grader
from polaris.problems.problem_layouts import COLUMNS, read_layout
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError
from polaris.stage.records import read_problems
from polaris.stage.settings import read_section
from polaris.stage.terminal import say, say_json, table
from small_rl.studies import probe_file, probe_page
from small_rl.study_settings import Judge

Form = Literal["think", "none"]


def workers() -> int:
    """Processes that grade: all processors but one."""
    return max(1, (os.cpu_count() or 1) - 1)


def refuse_to_replace(out: Path, source: Path) -> None:
    """Raises UserError where the output is the input itself."""
    if out.exists() and out.samefile(source):
        raise UserError(f"--output {out}: this is the input; name another file")


def grade(path: Path, out: Path | None, form: Form, grader: Grader, timeout: float, as_json: bool) -> None:
    """`polaris grade`: verdicts by reason, and the rows with their verdicts in `out`. Raises UserError."""
    if out:
        refuse_to_replace(out, path)
    rows = grade_file.read_answers(path)
    verdicts = grade_file.verdicts_of(rows, form, grader, timeout, workers())
    if out:
        grade_file.write_graded(rows, verdicts, out)
    counts = grade_file.counted(verdicts)
    right = sum(verdict.correct for verdict in verdicts)
    if as_json:
        say_json({"responses": len(rows), "right": right, "reasons": counts})
        return
    head = [["reason", "", "responses", "%"]]
    cells = [
        [row["reason"], "right" if row["correct"] else "wrong", str(row["responses"]), f"{100 * row['share']:.1f}"]
        for row in counts
    ]
    say("\n".join([*table(head + cells), "", f"{right} of {len(rows)} are right, {100 * right / len(rows):.1f} %"]))


def probe(
    path: Path, problems: Sequence[Path], out: Path | None, page: Path | None, form: Form, judge: str | None,
    report: Resampling, timeout: float,
) -> None:  # fmt: skip
    """`polaris probe`: probe.json to `out`, or printed, and its summary. Raises UserError."""
    for target in (out, page):
        if target:
            refuse_to_replace(target, path)
    golds = {name: gold for file in problems for name, gold in _golds(file).items()} if problems else None
    rows = probe_file.read_rollouts(path, golds)
    section = read_section(Judge, judge) if judge else None
    numbers = probe_file.probe(rows, report, section, form, timeout, workers())
    if out or page:
        probe_file.write(numbers, out, page)
        say(probe_page.summary(numbers))
    else:
        print(json.dumps(numbers, indent=1))


def _golds(path: Path) -> dict[str, Any]:
    """Accepted answers by id and by set/id, of a run's problems.parquet or of a file of problems. The set is called as
    the folder of the first, as the file of the other.
    """
    if path.name == "problems.parquet":
        name, rows = path.absolute().parent.name, list(read_problems(path).values())
    else:
        name, rows = path.stem, read_layout(data_rows(path, COLUMNS), path.stem, str(path), "some", None)
    return {key: row["answers"] for row in rows for key in (row["id"], f"{name}/{row['id']}")}
