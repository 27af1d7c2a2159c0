"""The alarm of an RL stage: the hacks of the reward court, and drift, watched in the rollouts of each step.

The norm is the mean of the stage's first steps. A measure is above its bound when its mean over the last steps is above
the norm by `share` (for shares), or more than `factor` times the norm, at least 1 (for tokens and results).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from small_rl.reward.rl_step import Rollout
from small_rl.rl_settings import Alarm
from small_rl.rollouts.features import CIRCLES, FEATURES

NAME = "alarms.jsonl"  # in a stage's log/: {step, measure, text}, a line per measure that passed its bound
MARK = "alarms"  # in metrics.jsonl: measures above their bounds at this step
SAID = "polaris warning: "  # of the trainer, in a line that a progress bar may begin
PAID = "paid_wrong"
# Metric -> what it is of; shares in [0, 1] of all reward of a step, or of its responses.
SHARES = {
    PAID: "of the reward goes to wrong responses",
    **{f"{PAID}_{name}": f"of the reward goes to wrong responses that {does}" for name, (does, _) in FEATURES.items()},
    CIRCLES: "of the responses repeat themselves",
    "truncated": "of the responses are truncated",
}
MEANS = {"response_tokens": "tokens in a response", "response_steps": "underlined results in a response"}


def measured(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """The measures of a step that no other metric of it is. rollouts: with their rewards, as sampled"""
    total = sum(rollout.earned for rollout in rollouts)
    wrong = [rollout for rollout in rollouts if not rollout.trajectory.correct]

    def paid(rows: Sequence[Rollout]) -> float:
        return sum(rollout.earned for rollout in rows) / total if total else 0.0

    by_feature = {
        f"{PAID}_{name}": paid([rollout for rollout in wrong if name in rollout.trajectory.features])
        for name in FEATURES
    }
    circles = fmean(CIRCLES in rollout.trajectory.features for rollout in rollouts)
    return {PAID: paid(wrong), **by_feature, CIRCLES: circles}


@dataclass(frozen=True)
class Raised:
    """A measure above its bound: its mean over the last steps, and the norm."""

    measure: str
    value: float
    norm: float

    @property
    def text(self) -> str:
        if self.measure in SHARES:
            return f"{100 * self.value:.0f} % {SHARES[self.measure]}, {100 * self.norm:.0f} % at first"
        return f"{self.value:.1f} {MEANS[self.measure]}, {self.norm:.1f} at first"


def raised(lines: Sequence[Mapping[str, Any]], settings: Alarm) -> list[Raised]:
    """What is above its bound at the last of a stage's lines of metrics.jsonl, which are all its steps."""
    if len(lines) < settings.first + settings.last:
        return []
    found = []
    for measure in (*SHARES, *MEANS):
        values = [line[measure] for line in lines if measure in line]
        norm, value = fmean(values[: settings.first]), fmean(values[-settings.last :])
        bound = norm + settings.share if measure in SHARES else max(norm, 1.0) * settings.factor
        if value > bound:
            found.append(Raised(measure, value, norm))
    return found
