"""How far the student is from its teacher in a step, and that there is anything to learn.

Legend: _T token of the response.
"""

from collections.abc import Sequence

import torch

from polaris.grading.answers import DIFFERENT, EQUIVALENT, EXACT, UNPARSEABLE_GOLD
from small_rl.reward.rl_step import Rollout

SILENT = 1e-4  # nats a token, between engines that hold the same weights: rounding


def teaching_metrics(groups: Sequence[Sequence[Rollout]], step: int) -> dict[str, float]:
    """`reverse_kl`: student minus teacher, the mean over tokens estimates the KL of the student from it; `signal`: mean
    distance of the target from the student. Both in nats a token; {} where the teacher says only its likeliest tokens.

    Raises RuntimeError in the first step where the target is the student: every later step would be as silent.
    """
    rollouts = [rollout for group in groups for rollout in group]
    if any(rollout.response.taught.teacher_S is None for rollout in rollouts):
        return {}
    pairs = [(rollout, rollout.response.taught) for rollout in rollouts]
    student = torch.cat([torch.as_tensor(rollout.response.log_probs_T) for rollout, _ in pairs])
    teacher = torch.cat([of_response(taught.teacher_S, rollout) for rollout, taught in pairs])
    target = torch.cat([of_response(taught.log_probs_SK[:, 0], rollout) for rollout, taught in pairs])
    signal = (target - student).abs().mean().item()
    if step == 1 and signal < SILENT:
        raise RuntimeError(
            f"step 1: on the student's own responses the target is the student ({signal:.1e} nats a token): there is "
            "nothing to learn; choose another teacher"
        )
    return {"reverse_kl": (student - teacher).mean().item(), "signal": signal}


def without_golds(groups: Sequence[Sequence[Rollout]]) -> bool:
    """Whether the step's prompts have no gold answer: an `accuracy` of them would be no measurement."""
    reasons = {rollout.trajectory.reason for group in groups for rollout in group}
    return UNPARSEABLE_GOLD in reasons and not reasons & {EXACT, EQUIVALENT, DIFFERENT}


def of_response(values_S: torch.Tensor, rollout: Rollout) -> torch.Tensor:
    """Those of the response's tokens, of values about the next token of prompt and response."""
    return values_S[len(rollout.prompt) - 1 : -1]
