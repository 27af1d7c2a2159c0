"""Files of problems as a recipe's section says, for the stage that fetches them and for the checks before a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polaris.problems.problem_layouts import COLUMNS, columns_read, read_layout, renamed
from polaris.problems.settings import ReadProblems
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError


def _needed(settings: ReadProblems) -> set[str]:
    """Columns whose values are read, those that hold others whole."""
    named = [column.lower() for column in (settings.columns or {}).values()]
    return {*COLUMNS, *named, *(column.partition(".")[0] for column in named)}


def found_columns(settings: ReadProblems, files: Sequence[Path]) -> str:
    """What is read of the files, and what is not, in words; by their first row."""
    _, row = next(iter(data_rows(files[0], _needed(settings))))
    read = columns_read(row, settings.columns or {}, settings.gold)
    used = {name.lower().split()[0].split(".")[0] for name in read.values()}
    left = [name for name in row if name.lower() not in used]
    words = ", ".join(f"{role} from {name}" for role, name in read.items())
    return f"{words}; not read: {', '.join(left) or 'none'}"


def read_problems(settings: ReadProblems, files: Sequence[Path], source: str, where: str) -> list[dict[str, Any]]:
    """Rows of problems.parquet. source: what they are said to come from; where: the file or data set, for errors.

    Raises UserError for a layout that is not known, a row without what it needs, and another number than `count`.
    """
    columns, needed = settings.columns or {}, _needed(settings)
    rows = (row for file in files for row in data_rows(file, needed))
    problems = read_layout(
        renamed(rows, columns, where) if columns else rows, source, where, settings.gold, settings.max_rows
    )
    expected = settings.count and min(settings.count, settings.max_rows or settings.count)
    if expected not in (None, len(problems)):
        raise UserError(
            f"{where}: {len(problems)} problems are read, {expected} were expected (count: {settings.count}); is "
            "this the set that is meant, in the right version? Otherwise correct inputs' `count`"
        )
    return problems
