"""The marks by which stored responses are found: of each response, and of a question with all of its responses."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from polaris.evaluation.verdicts import UNGRADED, WITHOUT_ANSWER

Row = Mapping[str, Any]

# Mark -> its name on the page, and which response of an evaluation has it.
GRADED: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "wrong": ("wrong", lambda row: not row["correct"]),
    "cut": ("truncated", lambda row: row["finish_reason"] == "length"),
    "silent": ("no answer", lambda row: row["reason"] in WITHOUT_ANSWER),
    "ungraded": ("not graded", lambda row: row["reason"] in UNGRADED),
    "graders": ("graders disagree", lambda row: row.get("other", row["correct"]) != row["correct"]),
}
MIXED, LONGEST = ("mixed", "right and wrong"), ("longest", "longest")
BETTER, WORSE = "better", "worse"  # of two models: the first, the second
TAUGHT = ("taught", "taught")
LONG = 100  # questions in the list of the longest responses


def is_right(row: Row) -> bool:
    """Of an evaluation: correct; of a trace: taught."""
    return row["correct"] if "correct" in row else row["reason"] is None


def of_response(row: Row) -> set[str]:
    """The marks of one response; those of a trace are its reason, or that it is taught."""
    if "correct" in row:
        return {mark for mark, (_, has) in GRADED.items() if has(row)}
    return {row["reason"] or TAUGHT[0]}


def of_question(columns: Sequence[Sequence[Row]]) -> set[str]:
    """The marks of a question: those of its responses, and how they compare. columns: the responses of each model."""
    found = {mark for rows in columns for row in rows for mark in of_response(row)}
    shares = [share(rows) for rows in columns]
    if any(0 < value < 1 for value in shares):
        found.add(MIXED[0])
    if len(shares) == 2 and shares[0] != shares[1]:
        found.add(BETTER if shares[0] > shares[1] else WORSE)
    return found


def share(rows: Sequence[Row]) -> float:
    """Share of right responses."""
    return sum(map(is_right, rows)) / len(rows)


def names(marks: set[str], models: Sequence[str]) -> dict[str, str]:
    """The names of those marks that occur, in the order of the page. models: one, or two that are compared"""
    order = [(mark, f"{model} is better") for mark, model in zip((BETTER, WORSE), models, strict=False)]
    order += [(mark, name) for mark, (name, _) in GRADED.items()]
    order += [MIXED, LONGEST, TAUGHT]
    known = dict(order)
    return {mark: known[mark] for mark in known if mark in marks or mark == LONGEST[0]} | {
        mark: mark.replace("_", " ") for mark in sorted(marks - known.keys())
    }
