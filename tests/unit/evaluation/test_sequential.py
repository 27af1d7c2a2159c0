"""Models that cannot win any more: the stated error rate holds by simulation, and a worse model goes early."""

import numpy as np
import pytest

from polaris.evaluation.sequential import beaten_after, dropped

ERROR = 0.1
QUESTIONS, SAMPLES, SWEEPS = 150, 8, 600


def sweep(rng: np.random.Generator, levels: list[float]) -> dict[str, np.ndarray]:
    """Scores of models with these mean accuracies on the same questions, of which some are harder for all."""
    hard_P = rng.normal(0, 0.2, QUESTIONS)
    return {
        str(number): rng.binomial(SAMPLES, np.clip(level + hard_P, 0.02, 0.98)) / SAMPLES
        for number, level in enumerate(levels)
    }


@pytest.mark.slow
def test_the_best_is_dropped_no_more_often_than_stated():
    """All equal: each is a best one, and any that is dropped is dropped wrongly."""
    rng = np.random.default_rng(1)
    wrong = sum(bool(dropped(sweep(rng, [0.5] * 5), ERROR)) for _ in range(SWEEPS)) / SWEEPS
    print(f"dropped wrongly in {wrong:.3f} of sweeps")
    assert wrong <= 5 * ERROR / 4  # five best ones, each of which four may beat with a quarter of the error
    rng = np.random.default_rng(2)
    best = sum("0" in dropped(sweep(rng, [0.52, 0.5, 0.5, 0.5, 0.5]), ERROR) for _ in range(SWEEPS)) / SWEEPS
    print(f"the best in {best:.3f}")
    assert best <= ERROR


def test_a_worse_model_goes_before_the_end():
    rng = np.random.default_rng(3)
    after = [dropped(sweep(rng, [0.5, 0.5, 0.35]), ERROR).get("2") for _ in range(100)]
    seen = [found[1] for found in after if found]
    print(f"dropped in {len(seen)} of 100 sweeps, after {np.median(seen):.0f} of {QUESTIONS} questions in the median")
    assert len(seen) > 90 and np.median(seen) < QUESTIONS / 2


@pytest.mark.parametrize(("size", "after"), [(1.0, 5), (0.0, None), (-1.0, None)])
def test_a_difference_that_is_always_the_same(size, after):
    """The wealth at a stake of .95 is 1.95 ** n; of ten stakes the mean is known by hand."""
    found = beaten_after(np.full(40, size), 0.1)
    assert found == after
    if after:
        stakes = [0.05 + 0.1 * i for i in range(10)]
        wealth = [sum((1 + stake) ** n for stake in stakes) / 10 for n in (after - 1, after)]
        assert wealth[0] < 10 <= wealth[1]


def test_one_model_alone_is_never_dropped():
    assert dropped({"a": np.array([0.0, 1.0])}, 0.05) == {}
