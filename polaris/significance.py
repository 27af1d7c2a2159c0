"""Is a difference more than chance, and how small a one could have been seen?

Legend: _P problem, _G response of a problem's group, _R permutation.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWN = 1 << 22  # signs in memory at once: permutations times problems


def differences(a_PG: NDArray[np.bool_], b_PG: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of right responses of a minus that of b, per question; row p of both is the same question."""
    if len(a_PG) != len(b_PG):
        raise ValueError(f"not the same questions: {len(a_PG)} and {len(b_PG)}")
    return a_PG.mean(axis=1) - b_PG.mean(axis=1)


def permutation_p(difference_P: NDArray[np.float64], permutations: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the paired permutation test: under no difference the sign of each question's is a coin.

    difference_P: as of `differences`. Fisher's test with random signs; the observed signs count as one draw, so that
    the p-value is never 0 and the test is exact (Phipson and Smyth 2010, Permutation P-values Should Never Be Zero).
    """
    moved_P = np.abs(difference_P[difference_P != 0])
    observed = abs(difference_P.sum())
    extreme = 0
    for start in range(0, permutations, max(1, DRAWN // max(1, len(moved_P)))):
        count = min(permutations - start, max(1, DRAWN // max(1, len(moved_P))))
        signs_RP = rng.integers(0, 2, size=(count, len(moved_P)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs_RP @ moved_P) >= observed - 1e-9).sum())
    return (extreme + 1) / (permutations + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for having looked at all of them (Holm 1979): any of them is below a by chance with at most a."""
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def detectable(difference_P: NDArray[np.float64], confidence: float, power: float) -> float:
    """The smallest true difference that so many questions and samples show with probability `power`.

    (z(1 - (1 - confidence)/2) + z(power)) * sd / sqrt(questions), with sd of the paired differences as found here
    (Miller 2024, Adding Error Bars to Evals, section 5: the variance of the questions and of the samples is in it).
    """
    normal = statistics.NormalDist()
    z = normal.inv_cdf(1 - (1 - confidence) / 2) + normal.inv_cdf(power)
    return float(z * difference_P.std(ddof=1) / math.sqrt(len(difference_P)))
