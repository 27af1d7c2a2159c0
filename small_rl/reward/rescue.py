"""Rollout rescue: a problem that no rollout of a step solved borrows a right rollout of an earlier step.

V1 blog, "Rollout rescue": a correct response is kept in a sink, and when a later batch yields 0/8 for its problem, one
failed rollout is swapped for it. The published code has no trace of it; docs/deviations.md tells what is ours. With a
teacher the sink is full when the training begins and stays as it is.
Legend: _P group of a step's batch, _G rollout of a group, _T token.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class Kept:
    """A right response of an earlier step; a teacher's: of step 0. weights: step of the weights that sampled it"""

    step: int
    weights: int
    tokens_T: tuple[int, ...]


class Sink:
    """Per problem the right response that was kept last. One owner writes it."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def keep(self, problem_id: str, kept: Kept) -> None:
        """In the place of what was there."""
        self._kept[problem_id] = kept

    def of(self, problem_id: str, step: int) -> Kept | None:
        """What was kept before `step`."""
        kept = self._kept.get(problem_id)
        return kept if kept and kept.step < step else None

    def __len__(self) -> int:
        """Problems with a response."""
        return len(self._kept)

    def rows(self) -> list[dict[str, Any]]:
        """Rows of polaris.stage.records.SINK, sorted: `from_rows` gives the same sink again."""
        return [
            {"problem_id": problem_id, "step": kept.step, "weights": kept.weights, "tokens": list(kept.tokens_T)}
            for problem_id, kept in sorted(self._kept.items())
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[dict[str, Any]]) -> "Sink":
        sink = cls()
        for row in rows:
            sink.keep(row["problem_id"], Kept(row["step"], row["weights"], tuple(row["tokens"])))
        return sink


def rescues(
    problem_ids_P: Sequence[str], correct_PG: Sequence[Sequence[bool]], sink: Sink, step: int, random: Random
) -> dict[tuple[int, int], Kept]:
    """Which rollouts are replaced by what: (group, rollout) -> a kept response, one rollout a group at most.

    A group without a right rollout whose problem was solved in an earlier step loses one of its rollouts, each equally
    likely.
    """
    swaps = {}
    for group, (problem_id, correct_G) in enumerate(zip(problem_ids_P, correct_PG, strict=True)):
        kept = sink.of(problem_id, step)
        if kept and not any(correct_G):
            swaps[group, random.randrange(len(correct_G))] = kept
    return swaps


def worth_keeping(correct_PG: Sequence[Sequence[bool]], random: Random) -> list[int | None]:
    """Per group the rollout for the sink: one of the right ones, each equally likely; None without any."""
    right_PG = [[i for i, correct in enumerate(correct_G) if correct] for correct_G in correct_PG]
    return [random.choice(right_G) if right_G else None for right_G in right_PG]
