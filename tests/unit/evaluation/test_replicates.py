"""Differences over replicates: by hand, Student's quantiles from the printed table, coverage of both intervals."""

import numpy as np
import pytest

from polaris.evaluation import replicates
from polaris.evaluation.replicates import student


@pytest.mark.parametrize(
    ("probability", "freedom", "printed"),
    [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 3, 3.182), (0.975, 9, 2.262), (0.975, 30, 2.042), (0.9, 4, 1.533),
     (0.995, 2, 9.925), (0.5, 5, 0.0)],
)  # fmt: skip
def test_quantiles_of_student(probability, freedom, printed):
    assert student(probability, freedom) == pytest.approx(printed, abs=5e-4)


def test_by_hand():
    difference_NP = np.array([[0.5, 0.0, 0.1], [0.1, 0.0, 0.2]])
    found = replicates.pooled(difference_NP, 1000, np.random.default_rng(0))
    assert found.each_N == pytest.approx((0.2, 0.1))
    assert found.mean.value == pytest.approx(0.15)
    low, high = found.over_trainings(0.95)  # 12.706 times a standard error of 0.05
    assert (low, high) == pytest.approx((0.15 - 0.6353, 0.15 + 0.6353), abs=1e-4)
    # A question is drawn with both of its differences: a draw is the mean of three of {.3, 0, .15}.
    assert set(np.round(found.mean.draws_R * 3 / 0.15, 6)) == set(range(7))


def test_a_single_training_has_no_spread():
    found = replicates.pooled(np.array([[0.5, 0.0]]), 10, np.random.default_rng(0))
    assert found.over_trainings(0.95) is None


def test_benchmarks_count_the_same():
    rng = np.random.default_rng(0)
    both = [replicates.pooled(np.full((2, n), share), 10, rng) for n, share in ((4, 0.2), (2, 0.6))]
    mean = replicates.over_benchmarks(both)
    assert mean.each_N == pytest.approx((0.4, 0.4)) and mean.mean.value == pytest.approx(0.4)


@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 1)])
def test_tables_that_have_no_spread_are_refused(shape):
    with pytest.raises(ValueError, match="two questions at least"):
        replicates.pooled(np.zeros(shape), 10, np.random.default_rng(0))


def test_coverage():
    """95 % intervals: the first holds these trainings' mean over all questions, the second all trainings' on these."""
    rng, trainings, questions, k, trials = np.random.default_rng(5), 3, 60, 8, 600
    hits = np.zeros(2)
    for _ in range(trials):
        gain_N = 0.05 + 0.04 * rng.standard_normal(trainings)
        skill_P = rng.uniform(0.2, 0.75, questions)  # what a question adds is the same in all replicates
        extra_P = 0.05 * rng.standard_normal(questions)
        a_NP, b_NP = np.clip(skill_P + extra_P + gain_N[:, None], 0, 1), np.tile(skill_P, (trainings, 1))
        difference_NP = (rng.binomial(k, a_NP) - rng.binomial(k, b_NP)) / k
        found = replicates.pooled(difference_NP, 400, rng)
        these, others = found.mean.interval(0.95), found.over_trainings(0.95)
        hits += [these[0] <= gain_N.mean() <= these[1], others[0] <= 0.05 + extra_P.mean() <= others[1]]
    assert 0.92 <= hits[0] / trials <= 0.98
    assert 0.92 <= hits[1] / trials <= 0.98
