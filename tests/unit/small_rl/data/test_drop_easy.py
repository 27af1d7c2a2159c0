"""Drop-easy: accuracy over the visits of a stage, and which problems leave."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_rl.data.drop_easy import TOO_EASY, easy_because, logged_accuracy


def row(step, problem_id, accuracy):
    return {"step": step, "problem_id": problem_id, "accuracy": accuracy}


LOG = [row(1, "a", 0.5), row(3, "a", 1.0), row(2, "b", 1.0), row(5, "b", 0.75)]


@pytest.mark.parametrize(("rule", "found"), [("mean", {"a": 0.75, "b": 0.875}), ("last", {"a": 1.0, "b": 0.75})])
def test_rules(rule, found):
    assert logged_accuracy(LOG, rule) == found
    assert logged_accuracy(LOG[::-1], rule) == found  # the step decides what is last


def test_a_step_that_was_logged_twice_counts_once():
    again = [row(3, "a", 0.0), *LOG]
    assert logged_accuracy(again, "mean")["a"] == 0.75
    assert logged_accuracy([*LOG, row(3, "a", 0.0)], "mean")["a"] == 0.25


@pytest.mark.parametrize(
    ("logged", "offline", "reason"),
    [
        ({"a": 1.0}, 0.0, TOO_EASY),
        ({"a": 0.9}, 1.0, None),  # above, not from
        ({"a": 0.0}, 1.0, None),  # what was seen counts
        ({}, 0.95, TOO_EASY),  # never visited
        ({}, 0.875, None),
        ({"b": 1.0}, 0.5, None),
    ],
)
def test_who_leaves(logged, offline, reason):
    assert easy_because(logged, {"a": offline}, 0.9) == {"a": reason}


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from("ab"), st.floats(0, 1)), max_size=12))
def test_any_rule_stays_within_the_visits(rows):
    rows = [row(*values) for values in rows]
    for rule in ("mean", "last"):
        for problem_id, accuracy in logged_accuracy(rows, rule).items():
            seen = [r["accuracy"] for r in rows if r["problem_id"] == problem_id]
            assert min(seen) - 1e-9 <= accuracy <= max(seen) + 1e-9
