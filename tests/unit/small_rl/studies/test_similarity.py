"""The overlap of all pairs at once is the overlap of each pair, and its means are those that they are said to be."""

import itertools
import random

import numpy as np
import pytest

from polaris.evaluation.statistics import weighted_mean
from small_rl.data.overlap import jaccard
from small_rl.studies.similarity import CLASSES, class_rows, jaccard_GG, jaccard_sums


def test_all_pairs_at_once_are_the_pairs():
    rng = random.Random(0)
    for size in (1, 2, 9):
        results_G = [frozenset(rng.sample("abcdef", rng.randrange(5))) for _ in range(size)]
        found = jaccard_GG(results_G)
        expected = [[jaccard(a, b) for b in results_G] for a in results_G]
        assert np.allclose(found, expected)
    assert jaccard_GG([frozenset(), frozenset()]).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_sums_by_class():
    rng = random.Random(1)
    for _ in range(20):
        results_G = [frozenset(rng.sample("abcd", rng.randrange(3))) for _ in range(7)]
        correct_G = [rng.random() < 0.5 for _ in results_G]
        found = jaccard_sums(results_G, correct_G)
        for c, rights in enumerate((2, 1, 0)):
            pairs = [(a, b) for a, b in itertools.combinations(range(7), 2) if correct_G[a] + correct_G[b] == rights]
            assert found.pairs_C[c] == len(pairs)
            assert found.empty_C[c] == sum(not results_G[a] and not results_G[b] for a, b in pairs)
            assert found.sum_C[c] == pytest.approx(sum(jaccard(results_G[a], results_G[b]) for a, b in pairs))


def test_means_over_problems_and_over_pairs():
    one = jaccard_sums([frozenset("ab")] * 3 + [frozenset("c")], [True, True, True, False])  # 3 CC of 1, 3 CI of 0
    two = jaccard_sums([frozenset("a"), frozenset("b"), frozenset()], [True, True, False])  # 1 CC of 0, 2 CI of 0
    three = jaccard_sums([frozenset(), frozenset()], [False, False])  # 1 II of two empty sets
    found = class_rows([one, two, three], 0.95, 500, np.random.default_rng(0))
    right, mixed, wrong = found["classes"]
    assert [row["class"] for row in found["classes"]] == list(CLASSES)
    assert (right["mean"], right["pooled"], right["problems"], right["pairs"]) == (0.5, 0.75, 2, 4)
    assert right["mean_interval"] == [0.0, 1.0]
    assert (mixed["mean"], mixed["pairs"], mixed["empty_pairs"]) == (0.0, 5, 0)
    assert (wrong["mean"], wrong["mean_interval"], wrong["problems"], wrong["empty_pairs"]) == (0.0, None, 1, 1)
    first, second = found["differences"]
    assert (first["difference"], first["problems"]) == (0.5, 2)
    assert (second["difference"], second["problems"]) == (None, 0)


def test_weighted_mean():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(3, 2, 400), np.ones(400)
    found = weighted_mean(values, weights, 4000, rng)
    assert found.value == pytest.approx(values.mean())
    assert found.draws_R.std() == pytest.approx(values.std() / 20, rel=0.1)  # the standard error of a mean
    assert weighted_mean(np.array([0.0, 1.0]), np.array([3.0, 1.0]), 200, rng).value == 0.25
    assert set(np.round(weighted_mean(np.array([0.0, 1.0]), np.array([3.0, 1.0]), 200, rng).draws_R, 6)) == {0, 0.25, 1}
    with pytest.raises(ValueError, match="weights > 0"):
        weighted_mean(np.array([1.0, 2.0]), np.array([1.0, 0.0]), 200, rng)


def test_weighted_mean_is_the_same_in_blocks(monkeypatch):
    values = np.arange(10.0)
    whole = weighted_mean(values, np.ones(10), 100, np.random.default_rng(3))
    monkeypatch.setattr("polaris.evaluation.statistics.DRAWN", 70)
    assert (weighted_mean(values, np.ones(10), 100, np.random.default_rng(3)).draws_R == whole.draws_R).all()
