"""What is worth telling about one RL step, from its trajectories and their rewards. Legend: _R trajectory."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from polaris.answers import FAILURES


@dataclass(frozen=True)
class Trajectory:
    """group: rollouts of one prompt in one step; reason: see polaris.answers; steps: underlined results."""

    group: str
    problem: str
    correct: bool
    reason: str
    steps: tuple[str, ...]
    tokens: int


def step_metrics(trajectories_R: Sequence[Trajectory], rewards_R: Sequence[float]) -> dict[str, float]:
    """Means over trajectories, but `zero_variance`: share of groups whose rewards are all equal (they teach nothing)
    and `process_reward`: mean over the wrong trajectories, 0 without any.
    """
    groups = defaultdict(set)
    for t, reward in zip(trajectories_R, rewards_R, strict=True):
        groups[t.group].add(reward)
    wrong = [reward for t, reward in zip(trajectories_R, rewards_R, strict=True) if not t.correct]
    return {
        "accuracy": fmean(t.correct for t in trajectories_R),
        "reward": fmean(rewards_R),
        "process_reward": fmean(wrong) if wrong else 0.0,
        "zero_variance": fmean(len(found) == 1 for found in groups.values()),
        "response_steps": fmean(len(t.steps) for t in trajectories_R),
        "response_tokens": fmean(t.tokens for t in trajectories_R),
        "grading_failures": fmean(t.reason in FAILURES for t in trajectories_R),
    }
