"""Accuracy and the length of responses.

Legend: _P problem, _G response of a problem's group.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

POINTS = 8  # of the curve over a token budget


def group_names(bounds: Sequence[int]) -> list[str]:
    """Bounds in tokens, rising: [16384, 32768] -> below 16384, 16384 to 32767, from 32768 (V1 blog: <16K, 16-32K,
    >32K).
    """
    middle = [f"{low:,} to {high - 1:,}" for low, high in itertools.pairwise(bounds)]
    return [f"below {bounds[0]:,}", *middle, f"from {bounds[-1]:,}"]


def groups(tokens_PG: NDArray[np.int64], bounds: Sequence[int]) -> NDArray[np.intp]:
    """Number of each response's group, in the order of `group_names`."""
    return np.digitize(tokens_PG, bounds)


def budgets(longest: int) -> list[int]:
    """Token budgets L, evenly spaced up to the longest response."""
    return sorted({-(-longest * point // POINTS) for point in range(1, POINTS + 1)})


def within(correct_PG: NDArray[np.bool_], tokens_PG: NDArray[np.int64], budget: int) -> NDArray[np.bool_]:
    """Right responses of at most `budget` tokens; a longer one would have been cut, and counts as wrong.

    Exact for stored responses: the first L tokens of a response do not depend on max_tokens.
    """
    return correct_PG & (tokens_PG <= budget)
