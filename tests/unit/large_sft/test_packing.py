"""Packing: whole traces, well filled, every trace as often as the epochs say."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from large_sft.traces.packing import fill, filled, plan

CAPACITY = 64
LENGTHS = st.lists(st.integers(1, CAPACITY), min_size=1, max_size=60)


@given(LENGTHS)
def test_every_trace_lies_whole_in_one_pack(lengths):
    packs = fill(range(len(lengths)), lengths, CAPACITY)
    assert sorted(row for pack in packs for row in pack) == list(range(len(lengths)))
    assert all(0 < sum(lengths[row] for row in pack) <= CAPACITY for pack in packs)


@given(LENGTHS)
def test_no_two_packs_could_be_one(lengths):
    packs = fill(range(len(lengths)), lengths, CAPACITY)
    used = sorted(sum(lengths[row] for row in pack) for pack in packs)
    assert len(used) < 2 or used[0] + used[1] > CAPACITY


def test_long_tailed_lengths_fill_the_packs():
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(8.5, 0.9, 3000), 200, 32768).astype(int).tolist()
    packs = fill(range(len(lengths)), lengths, 32768)
    assert filled([packs], lengths, 32768) > 0.99


def test_a_trace_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="trace 1 has 65 tokens"):
        fill([0, 1], [3, 65], CAPACITY)


@settings(max_examples=60)
@given(LENGTHS, st.integers(1, 5), st.floats(0.05, 3), st.integers(0, 5))
def test_plan_shows_every_trace_as_often_as_the_epochs_say(lengths, packs_per_batch, epochs, seed):
    batches = plan(lengths, CAPACITY, packs_per_batch, epochs, np.random.default_rng(seed))
    seen = Counter(row for batch in batches for pack in batch for row in pack)
    total = max(1, round(epochs * len(lengths)))
    assert sum(seen.values()) == total
    counts = {seen[row] for row in range(len(lengths))}
    assert counts <= {total // len(lengths), -(-total // len(lengths))}
    assert all(len(batch) == packs_per_batch for batch in batches)
    sizes = [sum(1 for pack in batch if pack) for batch in batches]
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
    assert (len(batches) - 1) * packs_per_batch < sum(sizes)
    assert batches == plan(lengths, CAPACITY, packs_per_batch, epochs, np.random.default_rng(seed))


def test_epochs_and_seeds_draw_their_own_order():
    lengths = [40] * 30
    one, other = (plan(lengths, CAPACITY, 3, 2, np.random.default_rng(seed)) for seed in (1, 2))
    assert one != other
    assert one[:10] != one[10:]
