"""p-values, their correction, the smallest visible difference, pass@k and majority@k: against brute force and
simulation.
"""

import itertools

import numpy as np
import pytest

from polaris.evaluation import statistics
from polaris.evaluation.pass_at_k import majority, pass_at_k
from polaris.evaluation.significance import detectable, differences, holm, permutation_p


def table(*rows: str) -> np.ndarray:
    return np.array([[sign == "1" for sign in row] for row in rows])


def test_differences_are_paired():
    assert differences(table("11", "10"), table("1", "1")).tolist() == [0.0, -0.5]
    with pytest.raises(ValueError, match="not the same questions: 2 and 1"):
        differences(table("1", "1"), table("1"))


def test_permutation_p_is_that_of_all_signs():
    difference_P = np.array([0.5, 0.25, 0.0, 0.25, -0.125, 0.5, 0.5])
    sums = [abs(np.dot(signs, difference_P)) for signs in itertools.product((-1, 1), repeat=7)]
    exact = np.mean([value >= abs(difference_P.sum()) - 1e-9 for value in sums])
    assert permutation_p(difference_P, 40_000, np.random.default_rng(0)) == pytest.approx(exact, abs=0.005)


def test_no_difference_has_p_one():
    assert permutation_p(np.zeros(30), 200, np.random.default_rng(0)) == 1.0


def test_false_positives_of_the_paired_test_are_as_many_as_promised():
    """Two models of equal skill on 30 questions: 5 % of the tests say 'different' at 5 %."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(600):
        skill_P = rng.beta(2, 2, size=(30, 1))
        a_PG, b_PG = rng.random((30, 8)) < skill_P, rng.random((30, 8)) < skill_P
        found.append(permutation_p(differences(a_PG, b_PG), 400, rng) <= 0.05)
    assert 0.03 <= np.mean(found) <= 0.07


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


@pytest.mark.parametrize(("n", "k", "mean"), itertools.product((30, 200), (8, 32), (0.5, 0.93)))
@pytest.mark.slow
def test_intervals_cover_the_population_of_questions(n, k, mean):
    """90 to 98 % of 95 % intervals contain the mean over all questions that could have been asked.

    The fewest, 91 %, with 30 questions and a mean of .93 (9,000 tries): a few hard questions decide there.
    """
    rng, tries = np.random.default_rng(n * k), 800
    hits = 0
    for _ in range(tries):
        skill_P = rng.beta(3 * mean, 3 * (1 - mean), size=(n, 1))
        low, high = statistics.average(rng.random((n, k)) < skill_P, 400, rng).interval(0.95)
        hits += low <= mean <= high
    assert 0.90 - 0.015 <= hits / tries <= 0.98 + 0.015, hits / tries  # 800 tries know the share to about 1.5 points


def test_the_detectable_difference_is_detected_as_often_as_promised():
    """A true gain of that size is found in about 80 % of evaluations."""
    rng = np.random.default_rng(2)
    gain, n, k = 0.06, 200, 8
    sizes, found = [], []
    for _ in range(300):
        skill_P = rng.uniform(0.1, 0.9, size=(n, 1))
        difference_P = differences(rng.random((n, k)) < skill_P + gain, rng.random((n, k)) < skill_P)
        sizes.append(detectable([difference_P], 0.95, 0.8))
        found.append(abs(difference_P.mean()) / (difference_P.std(ddof=1) / np.sqrt(n)) > 1.96)
    ratio = gain / np.mean(sizes)  # in units of what 80 % power asks for
    from statistics import NormalDist

    expected = NormalDist().cdf(ratio * (1.96 + 0.8416) - 1.96)
    assert np.mean(found) == pytest.approx(expected, abs=0.06)


def test_pass_at_k_is_the_share_of_subsets_with_a_right_one():
    correct_PG = table("10000", "11000", "00000", "11111")
    for k in range(1, 6):
        brute = [np.mean([any(c) for c in itertools.combinations(row, k)]) for row in correct_PG]
        assert pass_at_k(correct_PG, k).tolist() == pytest.approx(brute)
    with pytest.raises(ValueError, match="pass@6 needs 6 samples"):
        pass_at_k(correct_PG, 6)


def test_majority():
    votes = np.array([[5, 5, 6], [5, 6, 6], [5, 6, -1], [-1, -1, -1], [1, 1, 2]])
    assert majority(votes, table("110", "100", "100", "000", "111")).tolist() == [1.0, 0.0, 0.5, 0.0, 1.0]


def test_the_permutation_test_of_a_mean_over_benchmarks_weighs_them_equally():
    """100 questions without a difference do not drown four with one."""
    small_P, large_P = np.full(4, 0.5), np.zeros(100)
    together = np.concatenate([small_P / 4, large_P / 100])
    assert permutation_p(together, 40_000, np.random.default_rng(3)) == pytest.approx(2 / 16, abs=0.01)


def test_detectable_differences_of_a_mean_over_benchmarks():
    one_P = np.array([0.0, 0.5, 1.0, 0.5])
    alone = detectable([one_P], 0.95, 0.8)
    assert alone == pytest.approx((1.95996 + 0.84162) * one_P.std(ddof=1) / 2, rel=1e-4)
    assert detectable([one_P, one_P], 0.95, 0.8) == pytest.approx(alone / np.sqrt(2))
