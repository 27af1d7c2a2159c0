"""The problems' own worked solutions, in the place of a teacher model's answers."""

from typing import Any

from polaris.grading.answers import END_OF_THOUGHT
from polaris.grading.boxes import boxed_answer

THINK = "<think>"


def from_solutions(problems: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The problems' solutions as rows of records.RESPONSES, in their order; problems without one are left out.

    problems: rows of records.PROBLEMS by id
    """
    rest = {"set": "solutions", "sample": 0, "seed": 0, "tokens": 0, "finish_reason": "stop"}
    return [
        {"problem_id": problem_id, "response": as_response(row["solution"], row["answers"]), **rest}
        for problem_id, row in problems.items()
        if row["solution"]
    ]


def as_response(solution: str, golds: list[str]) -> str:
    """A solution as a model would write it. One without think tags are thoughts, and the answer after them is its last
    box or the first gold answer; with neither it stays as it is, and lacks a think block.
    """
    answer = boxed_answer(solution) or next(iter(golds), None)
    if THINK in solution or END_OF_THOUGHT in solution or answer is None:
        return solution
    return f"{THINK}\n{solution.strip()}\n{END_OF_THOUGHT}\n\n\\boxed{{{answer}}}"
