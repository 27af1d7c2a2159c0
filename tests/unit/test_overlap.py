"""Overlap of wrong with right answers, and difficulty: which problems stay."""

import pytest

from small_rl.difficulty import TOO_EASY, UNSOLVED, dropped_because, histogram
from small_rl.overlap import LOW_OVERLAP, NO_PAIR, jaccard, mean_overlap, select


@pytest.mark.parametrize(
    ("a", "b", "value"), [("ab", "bc", 1 / 3), ("ab", "ab", 1), ("a", "b", 0), ("", "a", 0), ("", "", 0)]
)
def test_jaccard(a, b, value):
    assert jaccard(frozenset(a), frozenset(b)) == jaccard(frozenset(b), frozenset(a)) == value


def test_mean_over_all_right_wrong_pairs():
    steps = [frozenset("ab"), frozenset("abcd"), frozenset("ab"), frozenset("xy")]
    assert mean_overlap([True, True, False, False], steps) == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert mean_overlap([True] * 4, steps) is None
    assert mean_overlap([False] * 4, steps) is None


OVERLAPS = {"a": 0.1, "b": 0.2, "c": None, "d": 0.3, "e": 0.4}


def kept(**changes) -> set[str]:
    arguments = {"keep": "median", "threshold": None, "without_pair": "drop"} | changes
    reasons, _ = select(OVERLAPS, **arguments)
    return {problem_id for problem_id, reason in reasons.items() if reason is None}


def test_selection():
    assert kept() == {"d", "e"}
    assert kept(without_pair="keep") == {"c", "d", "e"}
    assert kept(keep="threshold", threshold=0.2) == {"b", "d", "e"}
    assert kept(keep="threshold", threshold=0.5) == set()
    reasons, lowest = select(OVERLAPS, "median", None, "drop")
    assert reasons["a"] == LOW_OVERLAP and reasons["c"] == NO_PAIR and lowest == pytest.approx(0.25)
    assert select({"a": None}, "median", None, "keep") == ({"a": None}, None)


@pytest.mark.parametrize(
    ("correct", "drop_above", "drop_unsolved", "reason"),
    [
        (8, 0.95, True, TOO_EASY),
        (7, 0.95, True, None),
        (7, 0.8, True, TOO_EASY),
        (0, 0.95, True, UNSOLVED),
        (0, 0.95, False, None),
        (8, 1.0, True, None),
        (4, 0.5, True, None),
    ],
)
def test_difficulty(correct, drop_above, drop_unsolved, reason):
    assert dropped_because(correct, 8, drop_above, drop_unsolved) == reason


def test_histogram():
    assert histogram([0, 0, 1, 3], k=3) == [2, 1, 0, 1]
