"""Where the results of the consensus sets come from, by a store's rows."""

import collections
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

COLUMNS = ("step", "group", "sample", "problem_id", "correct", "results", "counts")

Place = tuple[int, int, int]  # step, group, sample


@dataclass(frozen=True)
class Result:
    """A result as a step found it. count: correct responses that had it; stored: those of earlier steps among them;
    the others stood in the sets when the training began.
    """

    count: int
    stored: tuple[Place, ...]

    def entered(self, min_support: int) -> Place | None:
        """The response that made it a part of the consensus; None where it was one from the start, or is none."""
        needed = min_support - (self.count - len(self.stored))
        return self.stored[needed - 1] if 0 < needed <= len(self.stored) else None


class History:
    """Of each problem, the correct responses that had each result, in the order of the steps."""

    def __init__(self, rows: Iterable[dict[str, Any]]):
        """rows: COLUMNS of all stored steps, in their order"""
        self._places: dict[tuple[str, str], list[Place]] = collections.defaultdict(list)
        for row in rows:
            for result in row["results"] if row["correct"] and row["counts"] is not None else ():
                place = (row["step"], row["group"], row["sample"])
                self._places[row["problem_id"], result].append(place)

    def results_of(self, group: Iterable[dict[str, Any]]) -> dict[str, Result]:
        """What the responses of one group underlined, in the order of its first appearance."""
        found: dict[str, Result] = {}
        for row in group:
            for result, count in zip(row["results"], row["counts"] or (), strict=False):
                before = [place for place in self._places[row["problem_id"], result] if place[0] < row["step"]]
                found.setdefault(result, Result(count, tuple(before)))
        return found
