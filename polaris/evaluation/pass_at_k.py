"""Other scores of k responses: pass@k, the chance that one of k is right, and majority@k, the vote of k.

Legend: _P problem, _G response of a problem's group.
"""

import collections
from math import comb

import numpy as np
from numpy.typing import NDArray


def pass_at_k(correct_PG: NDArray[np.bool_], k: int) -> NDArray[np.float64]:
    """Unbiased pass@k per question: 1 - C(n - c, k) / C(n, k) with c right of n samples (Chen et al. 2021, equation 1).

    Raises ValueError when k is above the number of samples.
    """
    n = correct_PG.shape[1]
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs {k} samples or more of each question, there are {n}")
    all_wrong = np.array([comb(n - right, k) / comb(n, k) for right in range(n + 1)])
    return 1 - all_wrong[correct_PG.sum(axis=1)]


def majority(vote_PG: NDArray[np.int64], correct_PG: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Per question, whether the answer that most responses gave is right: 1 or 0, a share where several are most
    frequent.

    vote_PG: a number per answer (in normal form), -1 votes for nothing. An answer counts as right when any of its
    responses was called right; a question without any answer scores 0.
    """
    scores = []
    for votes_G, correct_G in zip(vote_PG.tolist(), correct_PG.tolist(), strict=True):
        votes = collections.Counter(vote for vote in votes_G if vote >= 0)
        most = max(votes.values(), default=0)
        right = {vote for vote, ok in zip(votes_G, correct_G, strict=True) if ok}
        winners = [vote for vote, count in votes.items() if count == most]
        scores.append(sum(vote in right for vote in winners) / len(winners) if winners else 0.0)
    return np.array(scores)
