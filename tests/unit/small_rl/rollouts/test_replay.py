"""Other rewards over stored rollouts: the recorded one exactly, the others by hand."""

import numpy as np
import pytest

from polaris.stage.errors import UserError
from small_rl.rollouts import store, variants
from small_rl.rollouts.replay import advantages
from tests.helpers.rollouts import write_store
from tests.helpers.verl_stages import rl_stage


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    stored = write_store(tmp_path_factory.mktemp("run") / "of", rl_stage("laptop", "core"))
    return {row.name: row for row in variants.replayed(stored).rewards}


def test_the_recorded_reward_is_reproduced(rows):
    recorded = rows[variants.RECORDED]
    assert (recorded.same, recorded.rollouts) == (8, 8) and recorded.correlation == pytest.approx(1.0)
    # Wrong ones: .5 of p in both steps (a=2 of {a=2}; b=3 of {a=2, b=3}), 0 and 0 of q, .5 of q for a=1.
    assert recorded.process == pytest.approx((0.5 + 0 + 0 + 0.5 + 0.5) / 5)
    assert recorded.paid == pytest.approx(3 / 5)
    assert recorded.signal == pytest.approx(3 / 4) and recorded.unsolved_signal == 0.0


def test_other_rewards(rows):
    assert rows["no process reward"].process == 0.0 and rows["no process reward"].signal == pytest.approx(3 / 4)
    assert rows["cap 0.25"].process == pytest.approx((0.25 + 0.25 + 0.25) / 5)
    assert rows["cap 1"].process == pytest.approx((1.0 + 0.5 + 1.0) / 5)
    assert rows["update: frozen"].process == pytest.approx((0.5 + 0 + 0.5) / 5)  # b=3 was never learned
    assert rows["min_support 2"].paid == 0.0  # only a=2 has two, after the first step, and no wrong one states it then
    assert rows["sets of other problems"].paid == 0.0
    assert variants.RECORDED in rows and "min_support 1" not in rows  # what it was trained with is no variant


def test_advantages_are_grpo():
    rewards, starts = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.5]), np.array([0, 2, 4])
    assert advantages(rewards, starts, normalised=False).tolist() == [0.5, -0.5, 0, 0, 0.5, -0.5, 0]
    by_deviation = [0.5 / 0.707108, -0.5 / 0.707108, 0.0, 0.0, 0.5 / 0.500001, -0.5 / 0.500001, 0.0]
    assert advantages(rewards, starts, normalised=True).tolist() == pytest.approx(by_deviation, rel=1e-5)


def test_what_cannot_be_replayed_says_so(tmp_path):
    with pytest.raises(UserError, match="outcome rewards"):
        variants.replayed(write_store(tmp_path / "outcome", rl_stage("laptop", "grpo")))
    sampled = rl_stage("laptop", "core").model_copy(update={"rollout_store": 4})
    with pytest.raises(UserError, match="rollout_store: 4"):
        variants.replayed(write_store(tmp_path / "sampled", sampled))
    stored = write_store(tmp_path / "holes", rl_stage("laptop", "core"))
    store.step_file(stored, 1).unlink()
    with pytest.raises(UserError, match="step_000001.parquet: this step is missing"):
        variants.replayed(stored)
