"""Files of problems as a recipe's section says, for the stage that fetches them and for the checks before a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polaris.problems.problem_layouts import COLUMNS, read_layout, renamed
from polaris.problems.settings import ReadProblems
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError


def read_problems(settings: ReadProblems, files: Sequence[Path], source: str, where: str) -> list[dict[str, Any]]:
    """Rows of problems.parquet. source: what they are said to come from; where: the file or data set, for errors.

    Raises UserError for a layout that is not known, a row without what it needs, and another number than `count`.
    """
    columns = settings.columns or {}
    needed = COLUMNS | {column.lower() for column in columns.values()}
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
