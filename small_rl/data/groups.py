"""Rows of a table by problem."""

from typing import Any

from polaris.stage.errors import UserError


def by_problem(rows: list[dict[str, Any]], problems: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each problem, in the problems' order. Raises UserError for a problem without a row."""
    groups: dict[str, list[dict[str, Any]]] = {problem_id: [] for problem_id in problems}
    for row in rows:
        if row["problem_id"] in groups:
            groups[row["problem_id"]].append(row)
    if missing := [problem_id for problem_id, group in groups.items() if not group]:
        raise UserError(
            f"problem {missing[0]} has no response ({len(missing)} such problems of {len(groups)}): "
            "the responses were generated for other problems"
        )
    return groups
