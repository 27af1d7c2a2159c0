"""Scores with their uncertainty: avg@k, and the paired difference between two models on the same questions.

Legend: _P problem, _G response of a problem's group, _R bootstrap draw.

A benchmark is a sample of questions, and a model's responses to one question are a sample too. The intervals are
percentile intervals of the bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13) whose
unit is the question; comparisons are paired by question (Miller, Adding Error Bars to Evals, arXiv 2411.00640).
They say what other questions and other samples would have changed. They know nothing of other training seeds.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWN = 1 << 20  # counts in memory at once: draws times problems; 8 MB each as place, count and float


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number and its bootstrap draws.

    value: the number itself; draws_R: float [resamples], what it became on resampled data
    """

    value: float
    draws_R: NDArray[np.float64]

    def interval(self, confidence: float) -> tuple[float, float]:
        """Percentile interval with `confidence` in (0, 1), e.g. 0.95."""
        tail = (1 - confidence) / 2
        low, high = np.quantile(self.draws_R, [tail, 1 - tail])
        return float(low), float(high)


def average(correct_PG: NDArray[np.bool_], resamples: int, rng: np.random.Generator) -> Estimate:
    """avg@k: the mean over questions of the share of right responses.

    correct_PG: bool [problems, samples], the same number of samples for every problem

    Two-level bootstrap (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8): questions are
    drawn with replacement, and within each drawn question its samples again. The second level counts the noise of the
    samples once more, so the interval is rather too wide for small k (by 12 % for k = 4 and uniform difficulty) than
    too narrow. It has no width when every response is right, or every one wrong: the bootstrap cannot see more.

    Drawn without listing the questions: what a drawn question brings, c right of k, has the same chances in every
    place, the mean over questions of the binomial ones; so a draw is how many of its questions bring c, a multinomial.
    """
    problems, samples = _checked(correct_PG).shape
    right_C, questions_C = np.unique(correct_PG.sum(axis=1), return_counts=True)
    brought = np.arange(samples + 1)
    factorial = np.array([math.lgamma(c + 1) for c in brought])  # logarithms, as of many samples they are huge
    share_C1 = right_C[:, None] / samples
    log_CX = _log_power(share_C1, brought) + _log_power(1 - share_C1, samples - brought)
    chance_X = questions_C @ np.exp(log_CX + factorial[-1] - factorial - factorial[::-1])
    drawn_RX = rng.multinomial(problems, chance_X / chance_X.sum(), size=resamples)
    return Estimate(float(correct_PG.mean()), drawn_RX @ brought / (problems * samples))


def _log_power(base: NDArray[np.float64], exponent: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logarithm of base ** exponent; 0 ** 0 is 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(exponent == 0, 0.0, exponent * np.log(base))


def difference(a_PG: NDArray[np.bool_], b_PG: NDArray[np.bool_], resamples: int, rng: np.random.Generator) -> Estimate:
    """avg@k of a minus avg@k of b, paired: row p of both is the same question.

    a_PG, b_PG: bool [problems, samples of a] and [problems, samples of b]

    Bootstrap over questions of the per-question difference (Miller 2024, section 4, with resampling in place of the
    normal approximation). The observed differences already carry the noise of the samples.
    """
    if len(_checked(a_PG)) != len(_checked(b_PG)):
        raise ValueError(f"not the same questions: {len(a_PG)} and {len(b_PG)}")
    sums_RX = drawn_sums(rights([a_PG, b_PG]), resamples, rng)
    return drawn_difference(a_PG, b_PG, sums_RX[:, 0], sums_RX[:, 1])


def rights(tables: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Right responses to each question, a column per table [problems, samples]."""
    return np.stack([_checked(correct_PG).sum(axis=1) for correct_PG in tables], axis=1).astype(np.float64)


def drawn_difference(
    a_PG: NDArray[np.bool_], b_PG: NDArray[np.bool_], a_R: NDArray[np.float64], b_R: NDArray[np.float64]
) -> Estimate:
    """`difference` from how many responses were right in each draw of questions, the same draws for both."""
    # Over a common denominator, so that equal differences are equal numbers.
    a_k, b_k = a_PG.shape[1], b_PG.shape[1]
    value = int(a_PG.sum()) * b_k - int(b_PG.sum()) * a_k
    return Estimate(value / (a_PG.size * b_k), (a_R * b_k - b_R * a_k) / (a_PG.size * b_k))


def drawn_sums(value_PX: NDArray[np.float64], resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sum of each column (_X) over as many problems as there are, drawn with replacement: float [resamples, columns].

    The draws do not depend on the columns. They become counts of problems, and these one matrix product.
    """
    problems, columns = value_PX.shape
    sums_RX, block = np.empty((resamples, columns)), max(1, DRAWN // problems)
    for start in range(0, resamples, block):
        place_RP = rng.integers(0, problems, (min(block, resamples - start), problems))
        place_RP += problems * np.arange(len(place_RP))[:, None]
        count_RP = np.bincount(place_RP.ravel(), minlength=place_RP.size).reshape(place_RP.shape)
        sums_RX[start : start + block] = count_RP.astype(np.float64) @ value_PX
    return sums_RX


def weighted_mean(
    value_P: NDArray[np.float64], weight_P: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> Estimate:
    """sum(weight * value) / sum(weight) over problems: their mean (weights 1), or the mean over their pairs, n-grams,
    ...

    value_P, weight_P: float [problems]; weights > 0. Bootstrap over problems: a drawn problem brings its weight along.
    """
    if value_P.shape != weight_P.shape or value_P.ndim != 1 or len(value_P) < 2 or not (weight_P > 0).all():
        raise ValueError(f"expected two values with weights > 0 at least, got {value_P.shape} and {weight_P.shape}")
    (estimate,) = weighted_means(value_P[:, None], weight_P[:, None], resamples, rng)
    return estimate


def weighted_means(
    value_PX: NDArray[np.float64], weight_PX: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> list[Estimate]:
    """`weighted_mean` of every column (_X) over the same draws of problems, which is much faster than one by one.

    A weight may be 0 (a problem without long responses), but not a column's sum. Draws in which all of a column's
    weight is missing are left out of its estimate, so that it may have fewer than `resamples`.
    """
    if value_PX.shape != weight_PX.shape or (weight_PX < 0).any() or not (weight_PX.sum(axis=0) > 0).all():
        raise ValueError(f"expected weights >= 0, and > 0 in sum, for {value_PX.shape} values, got {weight_PX.shape}")
    columns = value_PX.shape[1]
    both_PX = np.concatenate([weight_PX * value_PX, weight_PX], axis=1)
    sums_RX = drawn_sums(both_PX, resamples, rng)
    total_X = both_PX.sum(axis=0)
    estimates = []
    for column in range(columns):
        top_R, below_R = sums_RX[:, column], sums_RX[:, columns + column]
        draws_R = top_R[below_R > 0] / below_R[below_R > 0]
        estimates.append(Estimate(float(total_X[column] / total_X[columns + column]), draws_R))
    return estimates


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """The unweighted mean over benchmarks, whose questions are drawn independently of each other's."""
    draws_R = np.mean([estimate.draws_R for estimate in estimates], axis=0)
    return Estimate(float(np.mean([estimate.value for estimate in estimates])), draws_R)


def _checked(correct_PG: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A rectangular table of booleans with two questions or more (one question has no spread to resample)."""
    if correct_PG.ndim != 2 or correct_PG.dtype != np.bool_:
        raise ValueError(f"expected bool [problems, samples], got {correct_PG.dtype} {correct_PG.shape}")
    if correct_PG.shape[0] < 2 or correct_PG.shape[1] < 1:
        raise ValueError(f"expected two problems and one sample at least, got {correct_PG.shape}")
    return correct_PG
