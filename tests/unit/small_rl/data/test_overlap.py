"""Overlap of wrong with right answers, and difficulty: which problems stay."""

import random

import pytest

from small_rl.data.difficulty import TOO_EASY, UNSOLVED, dropped_because, histogram
from small_rl.data.overlap import HIGH_OVERLAP, LOW_OVERLAP, MIDDLE, NO_PAIR, jaccard, mean_overlap, select


@pytest.mark.parametrize(
    ("a", "b", "value"), [("ab", "bc", 1 / 3), ("ab", "ab", 1), ("a", "b", 0), ("", "a", 0), ("", "", 0)]
)
def test_jaccard(a, b, value):
    assert jaccard(frozenset(a), frozenset(b)) == jaccard(frozenset(b), frozenset(a)) == value


def test_mean_over_all_right_wrong_pairs():
    results = [frozenset("ab"), frozenset("abcd"), frozenset("ab"), frozenset("xy")]
    assert mean_overlap([True, True, False, False], results) == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert mean_overlap([True] * 4, results) is None
    assert mean_overlap([False] * 4, results) is None


OVERLAPS = {"a": 0.1, "b": 0.2, "c": None, "d": 0.3, "e": 0.4}


RIGHT = {"a": 1, "b": 1, "c": 0, "d": 1, "e": 2}


def kept(**changes) -> set[str]:
    arguments = {"keep": "median", "threshold": None, "within": "all", "without_pair": "drop"} | changes
    reasons, _ = select(OVERLAPS, RIGHT, **arguments)
    return {problem_id for problem_id, reason in reasons.items() if reason is None}


def test_selection():
    assert kept() == {"d", "e"}
    assert kept(without_pair="keep") == {"c", "d", "e"}
    assert kept(keep="threshold", threshold=0.2) == {"b", "d", "e"}
    assert kept(keep="threshold", threshold=0.5) == set()
    assert kept(keep="lower_half") == {"a", "b"} and kept(keep="lower_half", without_pair="keep") == {"a", "b", "c"}
    reasons, bound = select(OVERLAPS, RIGHT, "median", None, "all", "drop")
    assert reasons["a"] == LOW_OVERLAP and reasons["c"] == NO_PAIR and bound == pytest.approx(0.25)
    assert select(OVERLAPS, RIGHT, "lower_half", None, "all", "drop")[0]["d"] == HIGH_OVERLAP
    assert select({"a": None}, {"a": 0}, "median", None, "all", "keep") == ({"a": None}, None)


def test_halves_of_equal_difficulty():
    """One right: a, b, d (b is in the middle). Two right: e alone, so that it is in neither half."""
    assert kept(within="accuracy") == {"d"} and kept(within="accuracy", keep="lower_half") == {"a"}
    reasons, bound = select(OVERLAPS, RIGHT, "median", None, "accuracy", "drop")
    assert reasons == {"a": LOW_OVERLAP, "b": MIDDLE, "c": NO_PAIR, "d": None, "e": MIDDLE} and bound is None


def test_halves_have_the_same_accuracy_whatever_the_overlaps():
    rng = random.Random(0)
    right = {f"p{i}": rng.randrange(1, 8) for i in range(200)}
    # The harder a problem, the less overlap, and many ties: the plain median would split by difficulty.
    overlap = {name: round(n / 8 + rng.uniform(-0.1, 0.1), 1) for name, n in right.items()}
    halves = []
    for keep in ("median", "lower_half"):
        reasons, _ = select(overlap, right, keep, None, "accuracy", "drop")
        halves.append([name for name, reason in reasons.items() if reason is None])
    high, low = halves
    assert sorted(right[name] for name in high) == sorted(right[name] for name in low) and not set(high) & set(low)
    assert len(high) + len(low) >= 200 - 7
    mean = lambda half: sum(overlap[name] for name in half) / len(half)
    assert mean(high) > mean(low)
    plain = [select(overlap, right, keep, None, "all", "drop")[0] for keep in ("median", "lower_half")]
    upper, lower = (sum(right[n] for n, why in one.items() if not why) for one in plain)
    assert upper > 1.3 * lower


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
