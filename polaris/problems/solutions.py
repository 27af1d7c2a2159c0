"""The problems' own worked solutions, in the place of a teacher model's answers."""

from typing import Any


def from_solutions(problems: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The problems' solutions as rows of records.RESPONSES, in their order; problems without one are left out.

    problems: rows of records.PROBLEMS by id
    """
    rest = {"set": "solutions", "sample": 0, "seed": 0, "tokens": 0, "finish_reason": "stop"}
    return [
        {"problem_id": problem_id, "response": row["solution"], **rest}
        for problem_id, row in problems.items()
        if row["solution"]
    ]
