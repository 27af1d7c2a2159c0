"""avg@k and paired differences: hand-computed values, a bootstrap written out in loops, coverage by simulation."""

import numpy as np
import pytest

from polaris.evaluation import statistics
from polaris.evaluation.statistics import Estimate


def table(*rows: str) -> np.ndarray:
    """ "110 000" -> bool [2, 3]."""
    return np.array([[mark == "1" for mark in row] for row in rows])


def responses(skill_P: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((len(skill_P), samples)) < skill_P[:, None]


def test_average_is_the_share_of_right_responses():
    estimate = statistics.average(table("1100", "0000", "1110"), 100, np.random.default_rng(0))
    assert estimate.value == pytest.approx(5 / 12)
    assert estimate.draws_R.shape == (100,)


def test_average_draws_follow_the_bootstrap_written_out():
    """Questions with replacement, then samples within each: the same distribution, quantile by quantile."""
    rng = np.random.default_rng(1)
    correct_PG = responses(rng.beta(1, 1, 12), 4, rng)
    rows_RPG = correct_PG[rng.integers(12, size=(20_000, 12))]
    loops = np.take_along_axis(rows_RPG, rng.integers(4, size=rows_RPG.shape), axis=2).mean(axis=(1, 2))
    draws_R = statistics.average(correct_PG, 20_000, rng).draws_R
    levels = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975]
    # The means lie on a grid of 1/48.
    assert np.quantile(draws_R, levels) == pytest.approx(np.quantile(loops, levels), abs=1 / 48 + 1e-9)
    assert draws_R.mean() == pytest.approx(np.mean(loops), abs=0.003)
    assert draws_R.std() == pytest.approx(np.std(loops), rel=0.03)


def test_average_draws_have_the_variance_of_the_formula():
    """Var = (variance of the questions' shares + mean p (1 - p) / k) / n, by hand for shares 0, 1/2, 1, 1/2."""
    correct_PG = table("00", "10", "11", "01")
    draws_R = statistics.average(correct_PG, 200_000, np.random.default_rng(2)).draws_R
    assert draws_R.var() == pytest.approx((0.125 + 0.125 / 2) / 4, rel=0.02)


def test_difference_is_paired_and_allows_unequal_k():
    a_PG, b_PG = table("11", "10", "00"), table("1110", "0000", "0000")
    estimate = statistics.difference(a_PG, b_PG, 1000, np.random.default_rng(0))
    assert estimate.value == pytest.approx((0.25 + 0.5 + 0) / 3)
    # A draw is the mean of three of {1/4, 1/2, 0}.
    assert set(np.round(estimate.draws_R * 12).astype(int)) == set(range(7))
    assert np.abs(estimate.draws_R * 12 - np.round(estimate.draws_R * 12)).max() < 1e-9


def test_difference_draws_follow_the_bootstrap_written_out():
    rng = np.random.default_rng(3)
    skill_P = rng.beta(1, 1, 15)
    a_PG, b_PG = responses(skill_P, 4, rng), responses(skill_P**2, 4, rng)
    change_P = a_PG.mean(axis=1) - b_PG.mean(axis=1)
    loops = change_P[rng.integers(15, size=(20_000, 15))].mean(axis=1)
    draws_R = statistics.difference(a_PG, b_PG, 20_000, rng).draws_R
    assert draws_R.mean() == pytest.approx(loops.mean(), abs=0.003)
    assert np.quantile(draws_R, [0.025, 0.5, 0.975]) == pytest.approx(
        np.quantile(loops, [0.025, 0.5, 0.975]), abs=1 / 60 + 1e-9
    )


def test_pairing_removes_the_spread_between_questions():
    """Half of the questions easy, half hard: the same small gain is seen paired and drowns unpaired."""
    rng = np.random.default_rng(4)
    skill_P = np.repeat([0.05, 0.85], 100)
    a_PG, b_PG = responses(skill_P + 0.1, 16, rng), responses(skill_P, 16, rng)
    low, high = statistics.difference(a_PG, b_PG, 2000, rng).interval(0.95)
    assert 0 < low < 0.1 < high
    alone = statistics.average(a_PG, 2000, rng).interval(0.95)
    assert high - low < 0.4 * (alone[1] - alone[0])


def test_same_model_twice_has_no_difference():
    correct_PG = table("10", "01", "11")
    assert statistics.difference(correct_PG, correct_PG, 200, np.random.default_rng(0)).interval(0.95) == (0, 0)


def test_interval_of_known_draws():
    estimate = Estimate(0.5, np.arange(101) / 100)
    assert estimate.interval(0.9) == pytest.approx((0.05, 0.95))


def test_mean_over_benchmarks_weighs_them_equally():
    rng = np.random.default_rng(5)
    small = statistics.average(table("1", "1", "0", "0"), 50_000, rng)
    large = statistics.average(np.ones((100, 1), dtype=bool), 50_000, rng)
    both = statistics.mean([small, large])
    assert both.value == pytest.approx(0.75)
    assert both.draws_R.var() == pytest.approx(small.draws_R.var() / 4, rel=0.03)


def test_the_generator_decides():
    correct_PG = table("10", "01", "11")
    draws = [statistics.average(correct_PG, 50, np.random.default_rng(seed)).draws_R for seed in (7, 7, 8)]
    assert (draws[0] == draws[1]).all() and not (draws[0] == draws[2]).all()


@pytest.mark.parametrize("wrong", [np.ones((1, 4), bool), np.ones(4, bool), np.ones((3, 2)), np.ones((3, 0), bool)])
def test_wrong_tables_are_refused(wrong: np.ndarray):
    with pytest.raises(ValueError):
        statistics.average(wrong, 200, np.random.default_rng(0))


def test_different_questions_are_refused():
    with pytest.raises(ValueError, match="3 and 2"):
        statistics.difference(table("1", "0", "1"), table("1", "0"), 200, np.random.default_rng(0))


# The target is the population of questions: difficulty Beta(1, 1), and Beta(9, 1) for a benchmark that is nearly
# solved.
@pytest.mark.parametrize("beta", [(1, 1), (9, 1)])
def test_coverage_of_the_average(beta: tuple[int, int]):
    rng = np.random.default_rng(6)
    target, hits = beta[0] / sum(beta), 0
    for _ in range(600):
        low, high = statistics.average(responses(rng.beta(*beta, 40), 4, rng), 400, rng).interval(0.95)
        hits += low <= target <= high
    assert 0.90 <= hits / 600 <= 0.98


def test_coverage_of_the_difference_and_its_false_positives():
    """The gain differs from question to question; then the same skill twice, where 0 should be excluded in 1 of 20."""
    rng = np.random.default_rng(7)
    hits = false_positives = 0
    for _ in range(600):
        skill_P = rng.beta(1, 1, 40)
        better_P = skill_P + (1 - skill_P) * 0.2 * rng.random(40) * 2
        a_PG, b_PG = responses(better_P, 4, rng), responses(skill_P, 4, rng)
        low, high = statistics.difference(a_PG, b_PG, 400, rng).interval(0.95)
        hits += low <= 0.1 <= high
        low, high = statistics.difference(responses(skill_P, 4, rng), b_PG, 400, rng).interval(0.95)
        false_positives += not low <= 0 <= high
    assert 0.90 <= hits / 600 <= 0.98
    assert 0.02 <= false_positives / 600 <= 0.10


def test_weighted_means_of_columns_are_those_of_each_alone():
    """Same draws for every column; problems without weight count nowhere, draws without any weight are left out."""
    rng = np.random.default_rng(8)
    value_PX = rng.random((5, 3))
    weight_PX = np.array([[1, 2, 0], [1, 0, 0], [1, 3, 0], [1, 1, 0], [1, 1, 4]], dtype=float)
    together = statistics.weighted_means(value_PX, weight_PX, 500, np.random.default_rng(9))
    alone = statistics.weighted_mean(value_PX[:, 0], weight_PX[:, 0], 500, np.random.default_rng(9))
    assert (together[0].draws_R == alone.draws_R).all() and together[0].value == pytest.approx(value_PX[:, 0].mean())
    assert together[1].value == pytest.approx(np.average(value_PX[:, 1], weights=weight_PX[:, 1]))
    assert together[2].value == pytest.approx(value_PX[4, 2]) and np.allclose(together[2].draws_R, value_PX[4, 2])
    assert len(together[2].draws_R) == pytest.approx(500 * (1 - 0.8**5), abs=50)
    with pytest.raises(ValueError, match="in sum"):
        statistics.weighted_means(value_PX, 0 * weight_PX, 500, rng)
