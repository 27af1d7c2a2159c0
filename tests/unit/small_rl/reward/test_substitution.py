"""Substitution: which groups teach something, and who takes the place of the others."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_rl.reward.substitution import informative, substitutes

GOOD, BAD = [0.0, 1.0], [0.0, 0.0]


@pytest.mark.parametrize(
    ("rewards", "answer"),
    [([0, 1], True), ([0, 0], False), ([1, 1], False), ([0.25, 0], True), ([0.5, 0.5], False), ([1], False)],
)
def test_informative(rewards, answer):
    assert informative(rewards) == answer


@pytest.mark.parametrize(
    ("batch", "changed"),
    [
        ([GOOD, BAD, GOOD], {1}),
        ([GOOD, BAD, BAD, BAD], set()),  # a quarter is less than V1's third
        ([GOOD, BAD, BAD], set()),  # so is a third: V1 wants more
        ([GOOD, GOOD, BAD, BAD, BAD], {2, 3, 4}),
        ([BAD, BAD], set()),
        ([GOOD, GOOD], set()),
    ],
)
def test_who_is_replaced(batch, changed):
    sources = substitutes(batch, 0.334, Random(0))
    assert {i for i, source in enumerate(sources) if source != i} == changed


@pytest.mark.parametrize("size", [32, 64, 128])
def test_the_least_share_is_that_of_v1(size):
    enough = size // 3 + 1
    for good in (enough - 1, enough):
        sources = substitutes([GOOD] * good + [BAD] * (size - good), 0.334, Random(0))
        assert (sources != list(range(size))) == (good == enough)


def test_nothing_to_copy():
    assert substitutes([BAD, BAD], 0.0, Random(0)) == [0, 1]


@given(st.lists(st.sampled_from([GOOD, BAD, [0.25, 0.0], [1.0, 1.0]]), min_size=1, max_size=12), st.integers(0, 99))
def test_informative_groups_stay_and_fill_all_places(batch, seed):
    good = {i for i, rewards in enumerate(batch) if informative(rewards)}
    sources = substitutes(batch, 0.0, Random(seed))
    assert all(sources[i] == i for i in good)
    if good:
        assert set(sources) <= good
        copies = [source for i, source in enumerate(sources) if source != i]
        if len(good) >= len(batch) - len(good):
            assert len(set(copies)) == len(copies)  # no group is copied twice while others are not
    else:
        assert sources == list(range(len(batch)))
    assert sources == substitutes(batch, 0.0, Random(seed))
