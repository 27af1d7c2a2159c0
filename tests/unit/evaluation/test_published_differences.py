"""Published differences beside measured ones, and the spread of a model's scores over its evaluations."""

import numpy as np
import pytest

from polaris.evaluation.published_differences import judgement, published_differences
from polaris.evaluation.results import EXTRA, Numbers
from polaris.evaluation.settings import Published
from polaris.evaluation.spread import spread_rows, within_spread
from polaris.evaluation.verdicts import AVERAGE, Verdicts

PAIR = {"family": "ladder", "a": "tuned", "b": "base", "benchmark": "aime25", "difference": 0.08}
PAIR |= {"interval": [0.03, 0.13], "detectable": 0.06}


def verdicts_of(right: list[int]) -> Verdicts:
    """One response a question."""
    correct_PG = np.array(right, dtype=bool)[:, None]
    never_PG, zero_PG = np.zeros_like(correct_PG), np.zeros(correct_PG.shape, dtype=np.int64)
    names = tuple(map(str, range(len(right))))
    return Verdicts(names, correct_PG, zero_PG, never_PG, never_PG, never_PG, zero_PG, np.zeros(len(right)))


@pytest.mark.parametrize(
    ("published", "interval", "detectable", "word"),
    [
        (0.10, [0.03, 0.13], 0.06, "consistent"),
        (0.02, [0.03, 0.13], 0.06, "above"),
        (0.20, [0.03, 0.13], 0.06, "below"),
        (-0.01, [0.03, 0.13], 0.06, "above"),
        (0.05, [-0.02, 0.13], 0.09, "cannot be told"),
        (0.12, [-0.02, 0.13], 0.09, "consistent"),  # so large an effect would have been seen
        (0.20, [-0.02, 0.13], 0.09, "below"),
    ],
)
def test_judgements(published, interval, detectable, word):
    assert judgement(published, interval, detectable) == word


def test_only_comparisons_whose_scores_are_both_printed():
    printed = {"tuned": {"aime25": 91.8}, "base": {"aime25": 80.9, "aime26": 78.9}}
    source = Published(source="a table", average_of=[], values=printed)
    other = {**PAIR, "benchmark": "aime26"}
    (row,) = published_differences([PAIR, {**PAIR, "family": "twice"}, other], source)
    assert (row["published"], row["difference"], row["judgement"]) == (0.109, 0.08, "consistent")
    assert published_differences([PAIR], None) == []


def test_spread_and_what_is_smaller():
    right = {"base": [1, 0, 0, 0], "tuned": [1, 1, 0, 0], "base@plain": [1, 1, 1, 0], "base@short": [0, 0, 0, 0]}
    tables = {name: {"aime25": verdicts_of(row)} for name, row in right.items()}
    numbers = Numbers(tables, 0.95, 100, 0)
    rows = spread_rows(numbers, ["base@plain", "base@short"])
    assert [(row["name"], row["benchmark"], row["low"], row["high"], row["evaluations"]) for row in rows] == [
        ("base", "aime25", 0.0, 0.75, 3),
        ("base", AVERAGE, 0.0, 0.75, 3),
    ]
    pairs = [PAIR, {**PAIR, "difference": 0.8}, {**PAIR, "family": EXTRA, "a": "base@plain"}]
    assert within_spread(pairs, rows) == [
        {"a": "tuned", "b": "base", "benchmark": "aime25", "difference": 0.08, "spread": 0.75}
    ]
