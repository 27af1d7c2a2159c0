"""A cut response carries no loss, and verl's own functions make of its row what docs/rl.md says."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")

from small_rl.rl_step import Response, Rollout
from small_rl.step_metrics import Trajectory

LIMIT = 4


def rollout(tokens: int, reward: float) -> Rollout:
    trajectory = Trajectory("uid", "p", reward == 1.0, "exact", (), tokens)
    return Rollout(trajectory, [1, 2], Response(list(range(10, 10 + tokens)), [-0.5] * tokens, 3), reward=reward)


def padded(rows, name):
    return torch.nested.nested_tensor([row[name] for row in rows], layout=torch.jagged).to_padded_tensor(0.0)


def test_cut_responses_are_masked_and_still_count_in_their_groups_mean():
    from verl.trainer.ppo.core_algos import agg_loss, compute_grpo_outcome_advantage

    from small_rl import verl_batch

    group = [rollout(2, 1.0), rollout(3, 0.0), rollout(LIMIT, 0.0)]
    rows = [verl_batch.row("uid", one, LIMIT) for one in group]
    mask, rewards = padded(rows, "response_mask"), padded(rows, "rm_scores")
    assert mask.sum(1).tolist() == [2, 3, 0] and [row["loss_mask"].tolist() for row in rows][2] == [0] * LIMIT
    advantages, _ = compute_grpo_outcome_advantage(rewards, mask, ["uid"] * 3, norm_adv_by_std_in_grpo=False)
    assert advantages[:, 0].tolist() == pytest.approx([2 / 3, -1 / 3, 0.0]), "the mean is over all three"
    loss = torch.ones(3, LIMIT, requires_grad=True)
    agg_loss(loss, mask, "token-mean").backward()
    assert loss.grad[2].tolist() == [0.0] * LIMIT and loss.grad[0, 0] == pytest.approx(1 / 5)
    assert all(row["response_mask"].all() for row in (verl_batch.row("uid", one, None) for one in group))


def test_the_responses_place_is_found_without_the_mask():
    """verl cuts a response out of a whole row by lengths; a mask of zeros must not shorten it."""
    from verl.workers.utils.padding import response_from_nested

    from small_rl import verl_batch

    rows = [verl_batch.row("uid", one, LIMIT) for one in (rollout(LIMIT, 0.0), rollout(2, 1.0))]
    nested = {name: torch.nested.as_nested_tensor([row[name] for row in rows], layout=torch.jagged)
              for name in ("input_ids", "response_mask")}  # fmt: skip
    found = response_from_nested(nested["input_ids"].float(), nested["response_mask"])
    assert found.offsets().diff().tolist() == [LIMIT, 2]


def test_a_step_of_cut_responses_alone_stops():
    from small_rl import verl_batch

    with pytest.raises(RuntimeError, match="step 7: every response was cut at 4 tokens"):
        verl_batch.put(7, ["uid"], [[rollout(LIMIT, 0.0)]], LIMIT)
