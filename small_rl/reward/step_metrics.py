"""Metrics of one RL step, or of one evaluation of the actor, from its trajectories. Legend: _R trajectory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from polaris.grading.answers import FAILURES, TIMEOUT


@dataclass(frozen=True)
class Trajectory:
    """One graded response.

    group: id shared by the rollouts of one prompt in one step; reason: one of polaris.grading.answers.REASONS; results:
    underlined results that count; tokens: length; cut: truncated at the longest length; answer: as read from it;
    features: what the alarm saw in its text (small_rl.rollouts.features)
    """

    group: str
    problem: str
    correct: bool
    reason: str
    results: tuple[str, ...]
    tokens: int
    cut: bool
    answer: str | None = None
    features: frozenset[str] = frozenset()


def outcome_metrics(trajectories_R: Sequence[Trajectory]) -> dict[str, float]:
    """Shares of the trajectories, mean and largest length in tokens; `accuracy` is avg@k where each problem has k."""
    return {
        "accuracy": fmean(t.correct for t in trajectories_R),
        "response_tokens": fmean(t.tokens for t in trajectories_R),
        "response_tokens_max": max(t.tokens for t in trajectories_R),
        "truncated": fmean(t.cut for t in trajectories_R),
        "timeouts": fmean(t.reason == TIMEOUT for t in trajectories_R),
        "grading_failures": fmean(t.reason in FAILURES for t in trajectories_R),
    }


def step_metrics(
    trajectories_R: Sequence[Trajectory], rewards_R: Sequence[float], penalties_R: Sequence[float]
) -> dict[str, float]:
    """`outcome_metrics` and means over the trajectories.

    `zero_variance`: share of groups whose rewards are all equal (no advantage); `process_reward`: mean over the wrong
    trajectories, 0 without any.
    rewards_R, penalties_R: `reward` and `zero_variance` are of their difference
    """
    paid_R = [reward - penalty for reward, penalty in zip(rewards_R, penalties_R, strict=True)]
    groups = defaultdict(set)
    for t, paid in zip(trajectories_R, paid_R, strict=True):
        groups[t.group].add(paid)
    wrong = [reward for t, reward in zip(trajectories_R, rewards_R, strict=True) if not t.correct]
    return outcome_metrics(trajectories_R) | {
        "reward": fmean(paid_R),
        "process_reward": fmean(wrong) if wrong else 0.0,
        "zero_variance": fmean(len(values) == 1 for values in groups.values()),
        "response_steps": fmean(len(t.results) for t in trajectories_R),
    }
