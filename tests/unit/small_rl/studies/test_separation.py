"""How far results tell right from wrong, by hand."""

import pytest

from small_rl.studies.separation import above, group_numbers, means


def row(correct: bool, results: str, known: str = "") -> dict:
    """results: letters; known: those that one correct response had before the step"""
    return {"correct": correct, "results": list(results), "counts": [int(one in known) for one in results]}


def test_a_group_by_hand():
    group = [row(True, "ab", "a"), row(True, "ab", "a"), row(False, "ac", "a"), row(False, "xyz", "")]
    found = group_numbers(group, min_support=1)
    assert found["correct-correct"] == 1.0
    assert found["correct-incorrect"] == pytest.approx((1 / 3 + 0 + 1 / 3 + 0) / 4)
    assert found["incorrect-incorrect"] == 0.0
    assert found["difference"] == pytest.approx(1 - 1 / 6)
    assert found["pairs"] == 1.0
    assert found["sets"] == pytest.approx((0.5 + 1 + 0.5 + 1) / 4)  # both know a; one wrong response does, too
    assert "sets" not in group_numbers(group, min_support=2)  # no result has two


def test_what_a_group_lacks_is_left_out():
    assert group_numbers([row(True, "a"), row(True, "b")], 1) == {"correct-correct": 0.0}
    assert set(group_numbers([row(True, "a", "a"), row(False, "b")], 1)) == {"correct-incorrect", "sets"}
    found = means([{"pairs": 0.5}, {"pairs": 1.0, "sets": 0.25}, {}])
    assert (found["pairs"], found["sets"], found["difference"]) == (0.75, 0.25, None)
    assert found["groups"]["pairs"] == 2


def test_equal_values_count_half():
    import numpy as np

    assert above(np.array([1.0, 2.0]), np.array([1.0])) == 0.75
