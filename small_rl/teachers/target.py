"""What the student is drawn towards, token by token: the teacher, or what the teacher's training changed.

verl compares the student's log-probability of a token with a target. Of OPD it is the teacher's. G-OPD (arXiv
2602.12125) scales what the teacher's training added to its base; as a target that is

    base + scale * (teacher - base)           scale 1: OPD, above 1: ExOPD
    start + scale * (teacher - base)          delta: on top of the student as it starts

Legend: _S token of prompt and response, _K the teacher's likeliest tokens, or the one that stands there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Taught:
    """What verl's loss reads of one response: entry s is about token s + 1, the last one is not read.

    log_probs_SK: of the target; ids_SK: of which tokens; teacher_S: the teacher's own log-probabilities of the tokens
    that stand there, None where it was asked for its likeliest ones alone
    """

    log_probs_SK: torch.Tensor
    ids_SK: torch.Tensor
    teacher_S: torch.Tensor | None


def target(said: Mapping[str, torch.Tensor], scale: float, delta: bool) -> torch.Tensor:
    """The target's log-probabilities, up to a constant of each position where scale is not 1.

    said: by the models that were asked (small_rl.opd_settings.OpdTraining.read), each of the same shape
    """
    if "base" not in said:
        return said["teacher"]
    return (said["start"] if delta else said["base"]) + scale * (said["teacher"] - said["base"])
