"""The rewards and advantages that verl's GRPO computes from our rows, against numbers worked out by hand.

Four groups of four rollouts: mixed, all wrong with process rewards, one that a rescue saved, one that gives its place
    away.
"""

import math
from random import Random

import numpy as np
import pytest

from small_rl.reward.core import ConsensusSets
from small_rl.reward.rescue import BufferedResponse, RescueBuffer
from small_rl.reward.rl_step import Response, Rollout, TrainingState, finished
from small_rl.reward.step_metrics import Trajectory
from small_rl.rl_settings import Core, Substitution

pytest.importorskip("verl")
import torch
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

from small_rl.training.verl_batch import row

LITERAL = {"cap": 0.5, "min_support": 1, "results": "intermediate", "key": "string", "scope": "response"}
LITERAL |= {"update": "online", "denominator": "current", "guard": "none", "centre": None, "consensus": "rl_data"}
CONSENSUS = {"mixed": ["a", "b", "c", "d"], "wrong": ["a", "b", "c", "d"]}
LENGTHS = (3, 5, 2, 4)


class Settings:
    core = Core(**LITERAL)
    substitution = Substitution(min_informative=0.25)
    overlong = None
    rescue = "own"


def group(problem: str, correct: str, results: tuple[str, ...]) -> list[Rollout]:
    """Rollouts of LENGTHS tokens; correct: 1 or 0 for each, results: the letters that each underlined."""
    return [
        Rollout(
            Trajectory(
                problem, problem, ok == "1", "exact" if ok == "1" else "different", tuple(letters), length, False
            ),
            [1, 2],
            Response([7] * length, [-0.5] * length, 9),
        )
        for ok, letters, length in zip(correct, results, LENGTHS, strict=True)
    ]


@pytest.fixture(scope="module")
def batch() -> tuple[list[list[Rollout]], np.ndarray]:
    """The groups as they are trained on, and verl's advantage of every rollout."""
    sets = ConsensusSets(1)
    for problem, results in CONSENSUS.items():
        sets.add(problem, results)
    buffer = RescueBuffer()
    buffer.put("saved", BufferedResponse(3, 3, (5, 5, 5)))
    groups = [
        group("mixed", "1000", ("", "a", "abcd", "x")),
        group("wrong", "0000", ("a", "ab", "x", "abc")),
        group("saved", "0000", ("", "", "", "")),
        group("solved", "1111", ("", "", "", "")),
    ]
    trained = finished(groups, 9, Settings, TrainingState(sets, sets.sizes(), buffer), Random(0)).trained_P
    rows = [row(f"place {place}", one, None) for place, group in enumerate(trained) for one in group]
    padded = lambda name: torch.nn.utils.rnn.pad_sequence([r[name].float() for r in rows], batch_first=True)
    uids = np.array([r["uid"] for r in rows], dtype=object)
    mask = padded("response_mask")
    advantages, _ = compute_grpo_outcome_advantage(padded("rm_scores"), mask, uids)
    assert ((advantages != 0) <= (mask == 1)).all()  # nothing on padding
    per_rollout = [set(a[m == 1].tolist()) for a, m in zip(advantages, mask, strict=True)]
    assert all(len(values) == 1 for values in per_rollout)  # the same on every token of a response
    return trained, np.array([values.pop() for values in per_rollout]).reshape(4, 4)


def by_hand(rewards: list[float]) -> list[float]:
    """(r - mean) / (s + 1e-6) with the sample's standard deviation s: GRPO as verl and V1 have it."""
    mean = sum(rewards) / len(rewards)
    s = math.sqrt(sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1))
    return [(r - mean) / (s + 1e-6) for r in rewards]


def rewards(group: list[Rollout]) -> list[float]:
    return [rollout.reward for rollout in group]


def test_a_mixed_group(batch):
    groups, advantages = batch
    assert rewards(groups[0]) == [1.0, 0.25, 0.5, 0.0]
    assert advantages[0] == pytest.approx(by_hand([1.0, 0.25, 0.5, 0.0]), abs=1e-5)
    assert advantages[0] == pytest.approx([1.3173, -0.4392, 0.1464, -1.0246], abs=1e-3)


def test_a_group_without_a_right_answer_learns_from_its_steps(batch):
    groups, advantages = batch
    assert rewards(groups[1]) == [0.25, 0.5, 0.0, 0.5]  # the last is capped: 3/4 of the set
    assert advantages[1] == pytest.approx([-0.2611, 0.7833, -1.3056, 0.7833], abs=1e-3)


def test_a_rescued_group_has_one_right_response(batch):
    groups, advantages = batch
    assert sorted(rewards(groups[2])) == [0.0, 0.0, 0.0, 1.0]
    saved = rewards(groups[2]).index(1.0)
    assert groups[2][saved].response.tokens_T == (5, 5, 5)
    assert advantages[2][saved] == pytest.approx(1.5, abs=1e-3)
    assert np.delete(advantages[2], saved) == pytest.approx([-0.5] * 3, abs=1e-3)


def test_a_solved_group_gives_its_place_to_a_copy_with_its_own_rewards(batch):
    groups, advantages = batch
    source = next(place for place in range(3) if groups[3] == groups[place])
    assert advantages[3] == pytest.approx(advantages[source]) and abs(advantages[3]).max() > 0.1
