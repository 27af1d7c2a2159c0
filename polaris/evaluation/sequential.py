"""Which of several models cannot be the best any more, looked at after every question.

Of two models, the difference of each question's score lies in [-1, 1]. If the mean difference over the population of
questions is at most 0, a bet on its being positive wins nothing on average: the wealth prod(1 + l * difference) for any
stake l in [0, 1), and the mean over several stakes, is a nonnegative supermartingale that begins at 1. It ever reaches
1/e with a probability of at most e (Ville's inequality), however often one looks and whenever one stops (Waudby-Smith
and Ramdas 2023, Estimating means of bounded random variables by betting).

Legend: _P question, _M model, _L stake.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

STAKES_L = np.arange(0.05, 1.0, 0.1)


def beaten_after(difference_P: NDArray[np.float64], error: float) -> int | None:
    """Questions after which the mean difference is known to be positive, wrongly with a probability of at most `error`.

    difference_P: in [-1, 1], in an order that does not depend on them. None: not yet.
    """
    wealth_PL = np.cumsum(np.log1p(np.outer(difference_P, STAKES_L)), axis=0)
    top_P = wealth_PL.max(axis=1, initial=-np.inf)
    log_mean_P = top_P + np.log(np.exp(wealth_PL - top_P[:, None]).mean(axis=1))
    reached = np.flatnonzero(log_mean_P >= -np.log(error))
    return int(reached[0]) + 1 if len(reached) else None


def dropped(scores_MP: Mapping[str, NDArray[np.float64]], error: float) -> dict[str, tuple[str, int]]:
    """Models that cannot be the best any more: which one beats each, and after how many questions.

    scores_MP: of the same questions in the same order, each in [0, 1]. The best model is dropped with a probability of
    at most `error`: each of the others may beat it by chance with its part of it.
    """
    part = error / max(len(scores_MP) - 1, 1)
    found: dict[str, tuple[str, int]] = {}
    for loser, lower_P in scores_MP.items():
        for winner, higher_P in scores_MP.items():
            after = beaten_after(higher_P - lower_P, part) if winner != loser else None
            if after is not None and (loser not in found or after < found[loser][1]):
                found[loser] = winner, after
    return found
