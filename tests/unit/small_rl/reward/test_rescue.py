"""Rollout rescue: what the buffer keeps, and which failed rollouts it replaces."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.stage.records import RESCUE_BUFFER, read_rows, write_rows
from small_rl.reward.rescue import BufferedResponse, RescueBuffer, rescues, rollouts_to_buffer


def buffer(**steps: int) -> RescueBuffer:
    """A buffer that kept one token sequence per problem at these steps."""
    made = RescueBuffer()
    for problem_id, step in steps.items():
        made.put(problem_id, BufferedResponse(step, step - 1, (step, 7)))
    return made


@pytest.mark.parametrize(
    ("problem", "correct", "step", "rescued"),
    [
        ("p", [False] * 4, 4, True),
        ("p", [False] * 4, 3, False),  # kept in this very step
        ("p", [False, True, False, False], 4, False),
        ("p", [True] * 4, 4, False),
        ("unknown", [False] * 4, 4, False),
    ],
)
def test_when_a_group_is_rescued(problem, correct, step, rescued):
    swaps = rescues([problem], [correct], buffer(p=3), step, Random(0))
    assert list(swaps.values()) == [BufferedResponse(3, 2, (3, 7))] * rescued


def test_every_failed_rollout_is_as_likely_as_the_others():
    random = Random(1)
    chosen = Counter(next(iter(rescues(["p"], [[False] * 4], buffer(p=1), 2, random)))[1] for _ in range(4000))
    assert set(chosen) == {0, 1, 2, 3} and all(abs(count - 1000) < 150 for count in chosen.values())


def test_every_right_rollout_is_as_likely_as_the_others():
    random = Random(1)
    chosen = Counter(rollouts_to_buffer([[True, False, True, True]], random)[0] for _ in range(3000))
    assert set(chosen) == {0, 2, 3} and all(abs(count - 1000) < 150 for count in chosen.values())
    assert rollouts_to_buffer([[False, False], [False, True]], random) == [None, 1]


def test_the_newest_response_takes_the_place_of_the_older():
    made = buffer(p=1)
    made.put("p", BufferedResponse(5, 4, (9,)))
    assert made.get("p", 6) == BufferedResponse(5, 4, (9,)) and made.get("p", 5) is None and len(made) == 1


def test_rows_give_the_same_buffer_again(tmp_path):
    made = buffer(q=2, p=3)
    write_rows(tmp_path / "sink.parquet", made.rows(), RESCUE_BUFFER)
    again = RescueBuffer.from_rows(read_rows(tmp_path / "sink.parquet", RESCUE_BUFFER))
    assert again.rows() == made.rows() and again.get("p", 4) == made.get("p", 4) and len(again) == 2


groups = st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6)


@given(groups, st.sets(st.integers(0, 5)), st.integers(0, 99))
def test_only_unsolved_known_problems_and_one_rollout_each(correct, known, seed):
    names = [f"p{i}" for i in range(len(correct))]
    swaps = rescues(names, correct, buffer(**{f"p{i}": 1 for i in known}), 2, Random(seed))
    unsolved = {i for i, group in enumerate(correct) if not any(group)}
    assert [group for group, _ in swaps] == sorted(unsolved & known)
    assert all(0 <= rollout < 3 for _, rollout in swaps)
    assert swaps == rescues(names, correct, buffer(**{f"p{i}": 1 for i in known}), 2, Random(seed))
