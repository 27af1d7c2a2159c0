"""What is worth telling about one RL step or one evaluation of the actor, from its trajectories. Legend: _R
trajectory.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from polaris.grading.answers import FAILURES, TIMEOUT


@dataclass(frozen=True)
class Trajectory:
    """group: rollouts of one prompt in one step; reason: see polaris.grading.answers; results: underlined results;
    cut: it reached the longest length.
    """

    group: str
    problem: str
    correct: bool
    reason: str
    results: tuple[str, ...]
    tokens: int
    cut: bool


def outcome_metrics(trajectories_R: Sequence[Trajectory]) -> dict[str, float]:
    """Shares of the trajectories, and their mean and largest length; `accuracy` is avg@k where each problem has k."""
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
    """`outcome_metrics`; means over trajectories; `zero_variance`: share of groups whose rewards are all equal (they
    teach nothing); `process_reward`: mean over the wrong trajectories, 0 without any.

    rewards_R: before penalties_R, which are taken off them for `reward` and `zero_variance`
    """
    given_R = [reward - penalty for reward, penalty in zip(rewards_R, penalties_R, strict=True)]
    groups = defaultdict(set)
    for t, given in zip(trajectories_R, given_R, strict=True):
        groups[t.group].add(given)
    wrong = [reward for t, reward in zip(trajectories_R, rewards_R, strict=True) if not t.correct]
    return outcome_metrics(trajectories_R) | {
        "reward": fmean(given_R),
        "process_reward": fmean(wrong) if wrong else 0.0,
        "zero_variance": fmean(len(found) == 1 for found in groups.values()),
        "response_steps": fmean(len(t.results) for t in trajectories_R),
    }
