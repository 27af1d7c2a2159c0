"""Other process rewards over the rollouts of a finished stage: the sets grow again, the sampling stays as it was.

What another reward would have trained is not known: these are the rewards and advantages of the responses that the
recorded training sampled. Legend: _S step, _P group of a step's batch, _R rollout, both of all steps in their order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from small_rl.reward.core import ConsensusSets, core_rewards
from small_rl.rl_settings import Core

COLUMNS = ("step", "group", "problem_id", "correct", "answer", "reason", "results", "earned", "penalty")

Rows = Sequence[dict[str, Any]]
Results = Callable[[Rows, Core], list[Sequence[str]]]
Numbers = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Variant:
    """core: its process reward, None for none; sets: what it starts from, and is changed by the replay; correct_R: the
    verdicts of another grader, None for those of the training
    """

    name: str
    core: Core | None
    sets: ConsensusSets
    correct_R: Sequence[bool] | None = None


@dataclass(frozen=True)
class Replayed:
    """What a variant pays, over all steps.

    signal: share of groups with unequal rewards; unsolved_signal: of the groups without a correct response, None
    without such groups; paid: share of the wrong responses that earn something; process: mean that a wrong one earns;
    to_wrong: share of all that is earned; correlation: of its advantages with the recorded ones, None where either are
    all equal; same: responses that earn exactly what was recorded; rollouts: all of them; signal_S, process_S: by step
    """

    name: str
    signal: float
    unsolved_signal: float | None
    paid: float
    process: float
    to_wrong: float
    correlation: float | None
    same: int
    rollouts: int
    signal_S: list[float]
    process_S: list[float]


class Recorded:
    """The rows of all steps, with COLUMNS; normalised: advantages are divided by their group's standard deviation."""

    def __init__(self, steps: Sequence[Rows], normalised: bool):
        self.steps, self.normalised = steps, normalised
        rows = [row for step in steps for row in step]
        self.correct_R = np.array([row["correct"] for row in rows])
        self.penalty_R, self.earned_R = (np.array([row[name] for row in rows]) for name in ("penalty", "earned"))
        places = [(row["step"], row["group"]) for row in rows]
        self.starts_P = _starts(places)
        self.starts_S = _starts([row["step"] for row in rows])
        self.starts_SP = np.searchsorted(self.starts_P, self.starts_S)  # each step's first group
        self.advantages_R = self.advantages(self.earned_R)

    def advantages(self, earned_R: Numbers) -> Numbers:
        return advantages(earned_R - self.penalty_R, self.starts_P, self.normalised)

    def replay(self, variant: Variant, results_of: Results) -> Replayed:
        """Pay all steps anew. results_of: the results of some rows that count by a variant"""
        correct_R = self.correct_R if variant.correct_R is None else np.asarray(variant.correct_R)
        start_sizes = variant.sets.sizes()
        earned: list[float] = []
        for rows, first in zip(self.steps, self.starts_S, strict=True):
            earned += _paid(rows, correct_R[first : first + len(rows)].tolist(), variant, results_of, start_sizes)
        earned_R = np.array(earned)
        paid_R = earned_R - self.penalty_R
        differ_P = np.maximum.reduceat(paid_R, self.starts_P) > np.minimum.reduceat(paid_R, self.starts_P)
        unsolved_P = ~np.logical_or.reduceat(correct_R, self.starts_P)
        to_wrong_R = np.where(correct_R, 0.0, earned_R)
        wrong_S = np.add.reduceat((~correct_R).astype(int), self.starts_S)
        wrong = max(1, int(wrong_S.sum()))
        return Replayed(
            variant.name,
            signal=float(differ_P.mean()),
            unsolved_signal=float(differ_P[unsolved_P].mean()) if unsolved_P.any() else None,
            paid=float((to_wrong_R > 0).sum() / wrong),
            process=float(to_wrong_R.sum() / wrong),
            to_wrong=float(to_wrong_R.sum() / total) if (total := earned_R.sum()) else 0.0,
            correlation=_correlation(self.advantages(earned_R), self.advantages_R),
            same=int((earned_R == self.earned_R).sum()),
            rollouts=len(earned_R),
            signal_S=_means(differ_P.astype(float), self.starts_SP),
            process_S=(np.add.reduceat(to_wrong_R, self.starts_S) / np.maximum(1, wrong_S)).tolist(),
        )


def _starts(keys: Sequence[Any]) -> Places:
    """Where runs of equal keys begin."""
    return np.array([place for place, key in enumerate(keys) if not place or key != keys[place - 1]])


def _means(values: Numbers, starts: Places) -> list[float]:
    return (np.add.reduceat(values, starts) / np.diff([*starts, len(values)])).tolist()


def _paid(
    rows: Rows, correct: list[bool], variant: Variant, results_of: Results, start_sizes: Mapping[str, int]
) -> list[float]:
    """What one step's responses earn."""
    if variant.core is None:
        return [float(one) for one in correct]
    if variant.correct_R is not None:
        rows = [row | {"correct": ok} for row, ok in zip(rows, correct, strict=True)]
    problems = [row["problem_id"] for row in rows]
    return core_rewards(problems, correct, results_of(rows, variant.core), variant.sets, start_sizes, variant.core)


def advantages(rewards_R: Numbers, starts_P: Places, normalised: bool) -> Numbers:
    """GRPO's, as verl has them: r - mean, divided by the sample's standard deviation + 1e-6 where `normalised`.

    starts_P: first rollout of each group, of two or more
    """
    size_P = np.diff([*starts_P, len(rewards_R)])
    centred_R = rewards_R - np.repeat(np.add.reduceat(rewards_R, starts_P) / size_P, size_P)
    if not normalised:
        return centred_R
    deviation_P = np.sqrt(np.add.reduceat(centred_R**2, starts_P) / (size_P - 1))
    return centred_R / np.repeat(deviation_P + 1e-6, size_P)


def _correlation(a: Numbers, b: Numbers) -> float | None:
    """Pearson's; None where one side is constant."""
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else None
