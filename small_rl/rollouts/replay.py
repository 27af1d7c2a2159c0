"""Other process rewards over the rollouts of a finished stage: the sets grow again, the sampling stays as it was.

What another reward would have trained is not known: these are the rewards and advantages of the responses that the
recorded training sampled. Legend: _R rollout of a step's batch.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev, stdev
from typing import Any

from small_rl.reward.core import ConsensusSets, core_rewards
from small_rl.reward.substitution import informative
from small_rl.rl_settings import Core

COLUMNS = ("step", "group", "problem_id", "correct", "results", "earned", "penalty")

Results = Callable[[Sequence[dict[str, Any]], Core], list[Sequence[str]]]


@dataclass(frozen=True)
class Variant:
    """core: its process reward, None for none; sets: what it starts from, and is changed by the replay"""

    name: str
    core: Core | None
    sets: ConsensusSets


@dataclass(frozen=True)
class Replayed:
    """What a variant pays, over all steps.

    signal: share of groups with unequal rewards; paid: share of the wrong responses that earn something; process: mean
    that a wrong one earns; unsolved_signal: share of the groups without a correct response whose rewards differ, None
    without such groups; correlation: of its advantages with the recorded ones, None where either are all equal;
    same: responses that earn exactly what was recorded; rollouts: all of them
    """

    name: str
    signal: float
    unsolved_signal: float | None
    paid: float
    process: float
    correlation: float | None
    same: int
    rollouts: int


def replay(
    steps: Sequence[Sequence[dict[str, Any]]], variant: Variant, results_of: Results, normalised: bool
) -> Replayed:
    """Pay all steps anew.

    steps: rows of store.ROLLOUTS, with COLUMNS; results_of: the results of some rows that count by a variant;
    normalised: advantages are divided by their group's standard deviation
    """
    start_sizes = variant.sets.sizes()
    earned: list[float] = []
    for rows in steps:
        earned += _paid(rows, variant, results_of, start_sizes)
    rows = [row for step in steps for row in step]
    groups = _groups(rows, earned)
    wrong = [pay for row, pay in zip(rows, earned, strict=True) if not row["correct"]]
    ours = [value for group in groups for value in advantages([pay for _, pay in group], normalised)]
    recorded = [
        value
        for group in groups
        for value in advantages([row["earned"] - row["penalty"] for row, _ in group], normalised)
    ]
    differ = [informative([pay for _, pay in group]) for group in groups]
    unsolved = [one for one, group in zip(differ, groups, strict=True) if not any(row["correct"] for row, _ in group)]
    return Replayed(
        variant.name,
        signal=fmean(differ),
        unsolved_signal=fmean(unsolved) if unsolved else None,
        paid=fmean(pay > 0 for pay in wrong) if wrong else 0.0,
        process=fmean(wrong) if wrong else 0.0,
        correlation=_correlation(ours, recorded),
        same=sum(row["earned"] == pay for row, pay in zip(rows, earned, strict=True)),
        rollouts=len(rows),
    )


def _paid(
    rows: Sequence[dict[str, Any]], variant: Variant, results_of: Results, start_sizes: Mapping[str, int]
) -> list[float]:
    """What one step's responses earn."""
    correct = [row["correct"] for row in rows]
    if variant.core is None:
        return [float(one) for one in correct]
    problems = [row["problem_id"] for row in rows]
    return core_rewards(problems, correct, results_of(rows, variant.core), variant.sets, start_sizes, variant.core)


def _groups(rows: Sequence[dict[str, Any]], earned: Sequence[float]) -> list[list[tuple[dict[str, Any], float]]]:
    """Each group's rows, with their rewards after the penalty for length."""
    paid = [(row, pay - row["penalty"]) for row, pay in zip(rows, earned, strict=True)]
    return [list(group) for _, group in itertools.groupby(paid, key=lambda one: (one[0]["step"], one[0]["group"]))]


def advantages(rewards: Sequence[float], normalised: bool) -> list[float]:
    """GRPO's, as verl has them: r - mean, divided by the sample's standard deviation + 1e-6 where `normalised`."""
    mean = fmean(rewards)
    scale = stdev(rewards) + 1e-6 if normalised and len(rewards) > 1 else 1.0
    return [(reward - mean) / scale for reward in rewards]


def _correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's; None where one side is constant."""
    if not (pstdev(a) and pstdev(b)):
        return None
    mean_a, mean_b = fmean(a), fmean(b)
    covariance = fmean((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return covariance / (pstdev(a) * pstdev(b))
