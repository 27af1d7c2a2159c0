"""A step's rollouts as the training had them, from the rows of a store. Legend: _P group of a step's batch."""

import itertools
from collections.abc import Sequence
from typing import Any

from polaris.stage.errors import UserError
from small_rl.reward.rl_step import Response, Rollout
from small_rl.reward.step_metrics import Trajectory


def graded(rows: Sequence[dict[str, Any]], uids_P: Sequence[str], problems_P: Sequence[str]) -> list[list[Rollout]]:
    """The graded groups of one step, before their rewards. rows: of store.ROLLOUTS, in the batch's order.

    uids_P: verl's ids of the step's prompts; problems_P: ids of their problems. Raises UserError where the store has
    other problems: its data are not those of the training.
    """
    groups = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row["group"])]
    if [group[0]["problem_id"] for group in groups] != list(problems_P):
        raise UserError(f"step {rows[0]['step']}: the store has rollouts of other problems than the training drew")
    return [
        [_rollout(row, group[0]["prompt"], uid) for row in group] for uid, group in zip(uids_P, groups, strict=True)
    ]


def _rollout(row: dict[str, Any], prompt: Sequence[int], uid: str) -> Rollout:
    tokens_T = row["response"]
    trajectory = Trajectory(
        uid,
        row["problem_id"],
        row["correct"],
        row["reason"],
        tuple(row["results"]),
        len(tokens_T),
        row["cut"],
        row["answer"],
    )
    return Rollout(trajectory, prompt, Response(tokens_T, row["log_probs"], row["weights"]))
