"""Rollout rescue: a problem that no rollout of a step solved borrows a correct rollout of an earlier step.

V1 blog, "Rollout rescue": a correct response is buffered, and when a later batch yields 0/8 for its problem, one failed
rollout is swapped for it. The published code has no trace of it; docs/deviations.md lists what is ours. With a teacher
the buffer is full when the training begins, and does not change.
Legend: _P group of a step's batch, _G rollout of a group, _T token.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class BufferedResponse:
    """A correct response of an earlier step; a teacher's counts as of step 0.

    step: RL step that sampled it; weights: step of the weights that sampled it; tokens_T: the response alone
    """

    step: int
    weights: int
    tokens_T: tuple[int, ...]


class RescueBuffer:
    """Per problem the newest correct response. Only its owner changes it."""

    def __init__(self) -> None:
        self._responses: dict[str, BufferedResponse] = {}

    def put(self, problem_id: str, response: BufferedResponse) -> None:
        """Replaces the problem's earlier response."""
        self._responses[problem_id] = response

    def get(self, problem_id: str, step: int) -> BufferedResponse | None:
        """The problem's response if a step before `step` sampled it, else None."""
        response = self._responses.get(problem_id)
        return response if response and response.step < step else None

    def __len__(self) -> int:
        """Problems with a response."""
        return len(self._responses)

    def rows(self) -> list[dict[str, Any]]:
        """Rows of polaris.stage.records.RESCUE_BUFFER, sorted by problem; `from_rows` reads them back."""
        return [
            {"problem_id": problem_id, "step": entry.step, "weights": entry.weights, "tokens": list(entry.tokens_T)}
            for problem_id, entry in sorted(self._responses.items())
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[dict[str, Any]]) -> "RescueBuffer":
        buffer = cls()
        for row in rows:
            buffer.put(row["problem_id"], BufferedResponse(row["step"], row["weights"], tuple(row["tokens"])))
        return buffer


def rescues(
    problem_ids_P: Sequence[str], correct_PG: Sequence[Sequence[bool]], buffer: RescueBuffer, step: int, random: Random
) -> dict[tuple[int, int], BufferedResponse]:
    """The rollouts to replace: (group, rollout) -> buffered response, at most one rollout of a group.

    A group without a correct rollout whose problem was solved in an earlier step loses one of its rollouts, drawn
    uniformly.
    """
    swaps = {}
    for group, (problem_id, correct_G) in enumerate(zip(problem_ids_P, correct_PG, strict=True)):
        response = buffer.get(problem_id, step)
        if response and not any(correct_G):
            swaps[group, random.randrange(len(correct_G))] = response
    return swaps


def rollouts_to_buffer(correct_PG: Sequence[Sequence[bool]], random: Random) -> list[int | None]:
    """Per group [P] the index of one correct rollout, drawn uniformly; None for a group without any."""
    right_PG = [[i for i, correct in enumerate(correct_G) if correct] for correct_G in correct_PG]
    return [random.choice(right_G) if right_G else None for right_G in right_PG]
