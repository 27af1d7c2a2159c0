"""Targets and their distance from the student, against numbers worked out by hand."""

from dataclasses import replace

import pytest
import torch

from small_rl.reward.rl_step import Response, Rollout
from small_rl.reward.step_metrics import Trajectory
from small_rl.teachers.target import Taught, target
from small_rl.teachers.teaching import teaching_metrics, without_golds

T, B, S = (torch.tensor([[-1.0], [-2.0]]), torch.tensor([[-1.5], [-1.0]]), torch.tensor([[-3.0], [-0.5]]))


def test_the_targets():
    assert target({"teacher": T}, 1.0, False) is T
    extrapolated = target({"teacher": T, "base": B}, 2.0, False)  # base + 2 (teacher - base)
    assert extrapolated.tolist() == [[-0.5], [-3.0]]
    assert torch.equal(target({"teacher": T, "base": B}, 1.0, False), T)  # scale 1 is OPD, whatever the base
    shifted = target({"teacher": T, "base": B, "start": S}, 1.0, True)  # start + teacher - base
    assert shifted.tolist() == [[-2.5], [-1.5]]


def rollout(student: list[float], teacher: list[float], own: bool = True) -> Rollout:
    """Two tokens of a prompt, then those of the response; the teacher's numbers are about the next token."""
    values = torch.tensor([-9.0, *teacher, 0.0])
    taught = Taught(values[:, None], torch.zeros(len(values), 1), values if own else None)
    trajectory = Trajectory("g", "p", False, "different", (), len(student), False)
    return Rollout(trajectory, [1, 2], Response([5] * len(student), student, 0, taught))


def test_the_distance_is_that_of_the_responses_tokens():
    groups = [[rollout([-1.0, -1.0], [-2.0, -0.5])], [rollout([-0.5], [-2.0])]]
    assert teaching_metrics(groups, 1) == pytest.approx({"reverse_kl": (1.0 - 0.5 + 1.5) / 3, "signal": 3.0 / 3})


def test_a_silent_teacher_stops_the_first_step_alone():
    silent = [[rollout([-1.0, -1.0], [-1.0, -1.00001])]]
    with pytest.raises(RuntimeError, match="the target is the student .*: there is nothing to learn"):
        teaching_metrics(silent, 1)
    assert teaching_metrics(silent, 2)["signal"] < 1e-4  # the student has become its teacher


def test_an_accuracy_without_gold_answers_is_none():
    one = rollout([-1.0], [-2.0])
    reasons = lambda *names: [[replace(one, trajectory=replace(one.trajectory, reason=name)) for name in names]]
    assert without_golds(reasons("unparseable_gold", "no_answer"))
    assert not without_golds(reasons("different", "unparseable_gold")) and not without_golds(reasons("no_answer"))


def test_of_the_likeliest_tokens_nothing_is_said():
    assert teaching_metrics([[rollout([-1.0], [-1.0], own=False)]], 1) == {}
