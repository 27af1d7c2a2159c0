"""The problems that a model solves least often, chosen and scored on different samples.

The worst of many noisy scores are low partly by chance, so that the same model, asked again, does better on them
(regression to the mean). Hence a model's samples are halved: one half chooses the problems, the other is its score
there.
Legend: _P problem, _G response of a problem's group.
"""

import numpy as np
from numpy.typing import NDArray


def halves(correct_PG: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share right per problem in every second sample from the first, and in the others.

    Raises ValueError for a single sample, which has no other half.
    """
    if correct_PG.shape[1] < 2:
        raise ValueError("one sample per problem cannot both choose the problems and be scored on them")
    return correct_PG[:, ::2].mean(axis=1), correct_PG[:, 1::2].mean(axis=1)


def worst(share_P: NDArray[np.float64], k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Places of the k lowest shares (all, where there are fewer), lowest first; ties by lot.

    By lot, because the order of a benchmark is often that of difficulty, and many problems share the lowest score.
    """
    return np.lexsort((rng.random(len(share_P)), share_P))[:k]
