"""A cut response carries no loss, an update of such responses alone is left out, and verl's own functions make of its
row what docs/rl.md says.
"""

import importlib.util

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not importlib.util.find_spec("verl"), reason="verl is not installed")

from small_rl.reward.rl_step import Response, Rollout
from small_rl.reward.step_metrics import Trajectory

LIMIT = 4


def rollout(tokens: int, reward: float) -> Rollout:
    trajectory = Trajectory("uid", "p", reward == 1.0, "exact", (), tokens, tokens >= LIMIT)
    return Rollout(trajectory, [1, 2], Response(list(range(10, 10 + tokens)), [-0.5] * tokens, 3), earned=reward)


def padded(rows, name):
    return torch.nested.nested_tensor([row[name] for row in rows], layout=torch.jagged).to_padded_tensor(0.0)


def test_cut_responses_are_masked_and_still_count_in_their_groups_mean():
    from verl.trainer.ppo.core_algos import agg_loss, compute_grpo_outcome_advantage

    from small_rl.training import verl_batch

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

    from small_rl.training import verl_batch

    rows = [verl_batch.row("uid", one, LIMIT) for one in (rollout(LIMIT, 0.0), rollout(2, 1.0))]
    nested = {name: torch.nested.as_nested_tensor([row[name] for row in rows], layout=torch.jagged)
              for name in ("input_ids", "response_mask")}  # fmt: skip
    found = response_from_nested(nested["input_ids"].float(), nested["response_mask"])
    assert found.offsets().diff().tolist() == [LIMIT, 2]


def test_a_step_of_cut_responses_alone_stops():
    from small_rl.training import verl_batch

    with pytest.raises(RuntimeError, match="step 7: every response was truncated at 4 tokens"):
        verl_batch.put(7, ["uid"], [[rollout(LIMIT, 0.0)]], LIMIT)


def updates_of(batch, mini_batch, ranks):
    """The keys of each update, by verl's own split of a batch over its ranks and of a rank's rows over its updates."""
    from tensordict import TensorDict
    from verl.utils.tensordict_utils import make_iterator

    by_rank = []
    for part in batch.chunk(ranks):
        rows = TensorDict({"place": torch.arange(len(part))}, batch_size=len(part))
        updates = make_iterator(rows, mini_batch // ranks, epochs=1, seed=1, dataloader_kwargs={"shuffle": False})
        by_rank.append([[part.keys[place] for place in update["place"]] for update in updates])
    return [[key for part in update for key in part] for update in zip(*by_rank, strict=True)]


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("masked", "skipped"),
    [
        ("--------", 0),
        ("xxxx----", {1: 2, 2: 0}),
        ("xx--xx--", {1: 2, 2: 2}),
        ("xxxxxxx-", 3),
        ("x-x-x-x-", {1: 0, 2: 2}),
    ],
)
def test_an_update_without_loss_is_left_out(masked, skipped, ranks):
    """verl would divide by its 0 tokens: see the next test."""
    from transfer_queue import KVBatchMeta

    from small_rl.training import verl_batch

    keys = [f"{place}{mark}" for place, mark in enumerate(masked)]
    batch = KVBatchMeta(keys=keys, tags=[{"masked": mark == "x"} for mark in masked], partition_id="train")
    before = updates_of(batch, 2, ranks)
    learned, left_out = verl_batch.with_loss(batch, updates=4, ranks=ranks)
    assert left_out == (skipped[ranks] if isinstance(skipped, dict) else skipped)
    after = updates_of(learned, 2, ranks)
    assert after == [update for update in before if any(key.endswith("-") for key in update)]


def test_what_verl_makes_of_an_update_without_loss():
    """Why with_loss is there; if this fails, verl has learned to do without it."""
    from verl.trainer.ppo.core_algos import agg_loss

    loss = agg_loss(torch.ones(2, 3), torch.zeros(2, 3), "token-mean", batch_num_tokens=0)
    assert loss.isnan()
