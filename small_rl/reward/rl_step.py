"""One RL step between grading and training: rewards, the training state, rescue, substitution, metrics.

The order matters: accuracy by the outcome alone, then CORE's rewards and the growth of its sets, then the length
penalty, then rescue, then substitution. So a rescued or copied rollout never counts as the model's own success, and
never feeds the sets.
Legend: _P group of the step's batch, _G rollout of a group, _T token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from statistics import fmean
from typing import Any, Protocol

from polaris.grading.answers import FAILURES
from small_rl.reward import core, overlong
from small_rl.reward.core import ConsensusSets, core_rewards
from small_rl.reward.overlong import length_penalty
from small_rl.reward.rescue import BufferedResponse, RescueBuffer, rescues, rollouts_to_buffer
from small_rl.reward.step_metrics import Trajectory, step_metrics
from small_rl.reward.substitution import informative, substitutes


class Substitution(Protocol):
    min_informative: float


class Settings(Protocol):
    """What this file reads of small_rl.rl_settings.RlTraining."""

    core: core.Settings | None
    rescue: str | bool
    substitution: Substitution | None
    overlong: overlong.Settings | None
    max_response_length: int


@dataclass(frozen=True)
class Response:
    """tokens_T: ids of the response alone; log_probs_T: as sampled; weights: step of the weights that sampled it.

    log_probs_T is None for a response of an earlier step, as another policy sampled it. taught: what a teacher says of
    it (small_rl.teachers.target.Taught), which no reward reads; None without one
    """

    tokens_T: Sequence[int]
    log_probs_T: Sequence[float] | None
    weights: int
    taught: Any = None


@dataclass(frozen=True)
class Rollout:
    """A graded response to a prompt (token ids).

    earned: by the outcome, or by CORE; penalty: for the length, taken off it. Both are 0 until `finished` sets them
    """

    trajectory: Trajectory
    prompt: Sequence[int]
    response: Response
    earned: float = 0.0
    penalty: float = 0.0

    @property
    def reward(self) -> float:
        return self.earned - self.penalty


@dataclass(frozen=True)
class FinishedStep:
    """A step's groups at each stage of their treatment; the lists are in the batch's order.

    rewarded_P: as sampled, with their rewards; rescued_P: with at most one rollout of a group swapped; source_P: which
    group is trained in this place
    """

    rewarded_P: list[list[Rollout]]
    rescued_P: list[list[Rollout]]
    source_P: list[int]
    metrics: dict[str, float]

    @property
    def trained_P(self) -> list[list[Rollout]]:
        """The groups to train on; one may stand in several places."""
        return [self.rescued_P[source] for source in self.source_P]


@dataclass(frozen=True)
class TrainingState:
    """The state beside the weights, saved in each checkpoint; only its owner changes it.

    sets: CORE's consensus sets, None for outcome rewards; start_sizes: |s| by problem when the training began;
    rescue_buffer: None without rescue
    """

    sets: ConsensusSets | None = None
    start_sizes: Mapping[str, int] = field(default_factory=dict)
    rescue_buffer: RescueBuffer | None = None


def accuracies(groups_P: Sequence[Sequence[Rollout]]) -> dict[str, list]:
    """For the accuracy log: `problems` (ids) and `accuracy` (share of correct rollouts) [P], in the batch's order."""
    return {
        "problems": [group[0].trajectory.problem for group in groups_P],
        "accuracy": [fmean(rollout.trajectory.correct for rollout in group) for group in groups_P],
    }


def check_graded(groups_P: Sequence[Sequence[Rollout]], allowed: float, step: int) -> dict[str, float]:
    """{"ungraded": share of the groups none of whose answers could be graded}; they count as wrong.

    allowed: share in [0, 1]. Raises RuntimeError when more of the step's answers could not be graded, naming problems.
    """
    failed_PG = [[rollout.trajectory.reason in FAILURES for rollout in group] for group in groups_P]
    lost = [group[0].trajectory.problem for group, failed_G in zip(groups_P, failed_PG, strict=True) if all(failed_G)]
    share = fmean(failed for failed_G in failed_PG for failed in failed_G)
    if share > allowed:
        named = f", all of problem {' and '.join(lost[:5])}" if lost else ""
        raise RuntimeError(
            f"step {step}: {share:.1%} of the answers could not be graded (timeouts and crashes{named}); "
            f"grading.max_failure_rate is {allowed:.1%}"
        )
    return {"ungraded": len(lost) / len(groups_P)}


def finished(
    groups_P: Sequence[Sequence[Rollout]], step: int, settings: Settings, state: TrainingState, random: Random
) -> FinishedStep:
    """The groups rewarded and chosen for training, and the step's metrics. Changes `state`: call it once per step.

    Metrics: small_rl.reward.step_metrics, with overlong `length_penalty` (mean over the rollouts), and shares of the
    step's groups: `rescued` (with rescue), `substituted` (with substitution), `zero_variance_after` (with either).
    """
    numbers, rewarded = _rewarded(groups_P, settings, state)
    rescued, source_P = rewarded, list(range(len(rewarded)))
    if state.rescue_buffer is not None:
        rescued = _rescued(rewarded, step, settings, state.rescue_buffer, random)
        numbers["rescued"] = fmean(old != new for old, new in zip(rewarded, rescued, strict=True))
    if settings.substitution is not None:
        source_P = list(substitutes(_rewards(rescued), settings.substitution.min_informative, random))
        numbers["substituted"] = fmean(source != place for place, source in enumerate(source_P))
    done = FinishedStep(rewarded, rescued, source_P, numbers)
    if state.rescue_buffer is not None or settings.substitution is not None:
        numbers["zero_variance_after"] = fmean(not informative(rewards_G) for rewards_G in _rewards(done.trained_P))
    return done


def _rewards(groups_P: Sequence[Sequence[Rollout]]) -> list[list[float]]:
    return [[rollout.reward for rollout in group] for group in groups_P]


def _rewarded(
    groups_P: Sequence[Sequence[Rollout]], settings: Settings, state: TrainingState
) -> tuple[dict[str, float], list[list[Rollout]]]:
    """Metrics, and the groups with their rewards. The consensus sets grow here only."""
    trajectories = [rollout.trajectory for group in groups_P for rollout in group]
    rewards = [float(t.correct) for t in trajectories]
    set_metrics = {}
    if state.sets is not None and settings.core is not None:
        sizes = [len(state.sets.get(problem)) for problem in {t.problem for t in trajectories}]
        problems, correct = [t.problem for t in trajectories], [t.correct for t in trajectories]
        results = [t.results for t in trajectories]
        rewards = core_rewards(problems, correct, results, state.sets, state.start_sizes, settings.core)
        wrong = [reward for t, reward in zip(trajectories, rewards, strict=True) if not t.correct]
        set_metrics = {
            "capped": fmean(reward >= settings.core.cap for reward in wrong) if wrong else 0.0,
            "consensus_size": fmean(sizes),
            "consensus_empty": fmean(size == 0 for size in sizes),
        }
    penalties = [_penalty(t.tokens, settings) for t in trajectories]
    length_metrics = {} if settings.overlong is None else {"length_penalty": fmean(penalties)}
    paid = iter([{"earned": earned, "penalty": off} for earned, off in zip(rewards, penalties, strict=True)])
    groups = [[replace(rollout, **next(paid)) for rollout in group] for group in groups_P]
    return step_metrics(trajectories, rewards, penalties) | set_metrics | length_metrics, groups


def _penalty(tokens: int, settings: Settings) -> float:
    return 0.0 if settings.overlong is None else length_penalty(tokens, settings.max_response_length, settings.overlong)


def _rescued(
    groups_P: list[list[Rollout]], step: int, settings: Settings, buffer: RescueBuffer, random: Random
) -> list[list[Rollout]]:
    """The groups after rescue. Then the buffer takes their own correct rollouts, unless it is a teacher's."""
    problem_P = [group[0].trajectory.problem for group in groups_P]
    correct_PG = [[rollout.trajectory.correct for rollout in group] for group in groups_P]
    rescued = [list(group) for group in groups_P]
    for (group, place), buffered in rescues(problem_P, correct_PG, buffer, step, random).items():
        response = Response(buffered.tokens_T, None, buffered.weights)
        penalty = _penalty(len(buffered.tokens_T), settings)
        rescued[group][place] = replace(groups_P[group][place], response=response, earned=1.0, penalty=penalty)
    for group, place in enumerate(rollouts_to_buffer(correct_PG, random) if settings.rescue == "own" else ()):
        if place is not None:
            response = groups_P[group][place].response
            buffer.put(problem_P[group], BufferedResponse(step, response.weights, tuple(response.tokens_T)))
    return rescued
