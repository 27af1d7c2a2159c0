"""What the steps of a store show at a glance, and the marks by which its rollouts are found."""

import itertools
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from polaris.grading.answers import FAILURES
from small_rl.reward.substitution import informative
from small_rl.rollouts.features import in_circles

Row = dict[str, Any]


def reward(row: Row) -> float:
    return row["earned"] - row["penalty"]


def mismatch(row: Row) -> float:
    """Largest difference of a token's log-probability between the sampler and the actor; 0 where either is unknown."""
    if row["log_probs"] is None or row["actor_log_probs"] is None or row["rescued"] is not None:
        return 0.0
    return max((abs(a - b) for a, b in zip(row["log_probs"], row["actor_log_probs"], strict=True)), default=0.0)


# Mark -> its name on the page, and what has it.
MARKS: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "paid": ("wrong, and paid", lambda row: not row["correct"] and row["earned"] > 0),
    "cut": ("truncated", lambda row: row["cut"]),
    "rescued": ("rescued", lambda row: row["rescued"] is not None),
    "replaced": ("replaced by a copy", lambda row: row["source"] != row["group"]),
    "repeated": ("repeated", lambda row: in_circles(row["response"])),
    "ungraded": ("not graded", lambda row: row["reason"] in FAILURES),
}
EQUAL = ("equal", "equal rewards in its group")
EXTREME = {"longest": ("longest", lambda row: len(row["response"])), "mismatch": ("largest mismatch", mismatch)}


def marked(rows: Sequence[Row]) -> list[set[str]]:
    """The marks of each of a step's rollouts."""
    marks = [{name for name, (_, has) in MARKS.items() if has(row)} for row in rows]
    for _, numbers in itertools.groupby(range(len(rows)), key=lambda number: rows[number]["group"]):
        group = list(numbers)
        if not informative([reward(rows[number]) for number in group]):
            for number in group:
                marks[number].add(EQUAL[0])
    for name, (_, size) in EXTREME.items():
        sizes = [size(row) for row in rows]
        for number, one in enumerate(sizes):
            if one and one == max(sizes):
                marks[number].add(name)
    return marks


def numbers(rows: Sequence[Row]) -> dict[str, float]:
    """Means over a step: accuracy, reward, process reward of wrong responses (0 without any), tokens."""
    wrong = [row["earned"] for row in rows if not row["correct"]]
    return {
        "accuracy": fmean(row["correct"] for row in rows),
        "reward": fmean(map(reward, rows)),
        "process_reward": fmean(wrong) if wrong else 0.0,
        "tokens": fmean(len(row["response"]) for row in rows),
    }
