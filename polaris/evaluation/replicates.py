"""A paired difference over replicates: the same recipe trained several times with other seeds, asked the same
questions.

Legend: _N replicate, _P problem, _R bootstrap draw.

Two uncertainties, each with its own interval. Over questions and samples, for these trainings: a bootstrap over
questions, each drawn with its differences in all replicates. Over trainings, on these questions: Student's t interval
of the replicates' differences. With three replicates it is wide (t is 4.3 instead of 2.0).
"""

import dataclasses
import math
import statistics as moments
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polaris.evaluation import statistics
from polaris.evaluation.statistics import Estimate


@dataclasses.dataclass(frozen=True)
class Pooled:
    """A difference in each replicate, and over them.

    each_N: its value in each; mean: their mean, whose draws are of other questions and samples for the same trainings
    """

    each_N: tuple[float, ...]
    mean: Estimate

    def over_trainings(self, confidence: float) -> tuple[float, float] | None:
        """Student's t interval of the mean for other trainings on the same questions; None for a single replicate."""
        return trainings_interval(self.each_N, confidence) if len(self.each_N) > 1 else None


def pooled(difference_NP: NDArray[np.float64], resamples: int, rng: np.random.Generator) -> Pooled:
    """The mean over replicates of the paired differences of one benchmark.

    difference_NP: float [replicates, questions], share of right responses of one model minus the other's; column p is
    the same question in all replicates
    """
    if difference_NP.ndim != 2 or difference_NP.shape[0] < 1 or difference_NP.shape[1] < 2:
        raise ValueError(f"expected [replicates, questions], two questions at least, got {difference_NP.shape}")
    mean_P = difference_NP.mean(axis=0)
    mean = statistics.weighted_mean(mean_P, np.ones_like(mean_P), resamples, rng)
    return Pooled(tuple(difference_NP.mean(axis=1).tolist()), mean)


def over_benchmarks(pooled_B: Sequence[Pooled]) -> Pooled:
    """The unweighted mean over benchmarks (_B) of the same replicates."""
    each_BN = np.array([pooled.each_N for pooled in pooled_B])
    return Pooled(tuple(each_BN.mean(axis=0).tolist()), statistics.mean([pooled.mean for pooled in pooled_B]))


def trainings_interval(value_N: Sequence[float], confidence: float) -> tuple[float, float]:
    """Student's t interval of the mean of two replicates' values or more."""
    half = student(1 - (1 - confidence) / 2, len(value_N) - 1) * moments.stdev(value_N) / math.sqrt(len(value_N))
    return moments.fmean(value_N) - half, moments.fmean(value_N) + half


def student(probability: float, freedom: int) -> float:
    """The quantile of Student's t for a probability in [0.5, 1) and whole degrees of freedom, by bisection of its
    CDF.
    """
    low, high = 0.0, 1.0
    while _student_cdf(high, freedom) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, freedom) < probability else (low, middle)
    return high


def _student_cdf(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0 (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= math.cos(angle) ** 2 * k / (k + 1)
    within = math.sin(angle) * total
    return 0.5 + (((angle + within) * 2 / math.pi) if odd else within) / 2
