"""Significance of a paired difference, and the minimum detectable effect.

Legend: _P problem, _G response of a problem's group, _R permutation, _D size of a difference, _B benchmark.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWN = 1 << 20  # signs in memory at once: permutations times problems
CLOSE = 1e-9  # sums that lie closer are equal


def differences(a_PG: NDArray[np.bool_], b_PG: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of right responses of a minus that of b, per question; row p of both is the same question."""
    if len(a_PG) != len(b_PG):
        raise ValueError(f"not the same questions: {len(a_PG)} and {len(b_PG)}")
    return a_PG.mean(axis=1) - b_PG.mean(axis=1)


def permutation_p(difference_P: NDArray[np.float64], permutations: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the paired permutation test: without a difference the sign of each question's is random.

    difference_P: as of `differences`. Fisher's test with random signs; the observed signs count as one draw, so that
    the p-value is never 0 and the test is exact (Phipson and Smyth 2010, Permutation P-values Should Never Be Zero).
    """
    return share_beyond(signed_sums(difference_P[:, None], permutations, rng)[:, 0], float(difference_P.sum()))


def signed_sums(value_PX: NDArray[np.float64], permutations: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sum of each column (_X) with a random sign for each row: float [permutations, columns]; signs by the generator
    alone.

    A sum with signs of a difference is the difference of both sums: one product serves all pairs of columns.
    """
    problems, columns = value_PX.shape
    sums_RX, block = np.empty((permutations, columns)), max(1, DRAWN // problems)
    total_X = value_PX.sum(axis=0)
    for start in range(0, permutations, block):
        up_RP = rng.integers(0, 2, (min(block, permutations - start), problems), np.int8)
        sums_RX[start : start + block] = 2 * (up_RP.astype(np.float64) @ value_PX) - total_X
    return sums_RX


def share_beyond(sum_R: NDArray[np.float64], observed: float) -> float:
    """p-value of an observed sum among those with random signs."""
    extreme = int((np.abs(sum_R) >= abs(observed) - CLOSE).sum())
    return (extreme + 1) / (len(sum_R) + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for having looked at all of them (Holm 1979): any of them is below a by chance with at most
    a.
    """
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def detectable(differences_BP: Sequence[NDArray[np.float64]], confidence: float, power: float) -> float:
    """The smallest true difference, of the mean over benchmarks (_B), that so many questions and samples show.

    Shown: with probability `power`. (z(1 - (1 - confidence)/2) + z(power)) times the standard error of the paired
    differences as found here, sqrt(sum of sd^2 / questions) / benchmarks (Miller 2024, Adding Error Bars to Evals,
    section 5: the variance of the questions and of the samples is in it).
    """
    return effect([float(one_P.var(ddof=1)) / len(one_P) for one_P in differences_BP], confidence, power)


def effect(variance_B: Sequence[float], confidence: float, power: float) -> float:
    """`detectable`, by the variance of each benchmark's mean difference."""
    normal = statistics.NormalDist()
    z = normal.inv_cdf(1 - (1 - confidence) / 2) + normal.inv_cdf(power)
    return z * math.sqrt(sum(variance_B)) / len(variance_B)
