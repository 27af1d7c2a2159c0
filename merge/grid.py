"""Which alphas to try next: a finer grid around the best one so far.

Not a golden-section search: that trusts every single comparison, and neighbours on this curve differ by less than their
noise. A grid keeps what was measured, and shows the shape of the top.
"""

import itertools
from collections.abc import Sequence

DECIMALS = 3  # of new alphas; finer differences are far below any benchmark's noise


def finer_alphas(alphas: Sequence[float], best: float, parts: int) -> list[float]:
    """New alphas in order: the gaps beside `best` are cut into `parts`, the gaps beyond those into half as many.

    Raises ValueError when `best` is none of the alphas.
    """
    known = sorted(set(alphas))
    if best not in known:
        raise ValueError(f"alpha {best} is none of {known}")
    place = known.index(best)
    new: set[float] = set()
    for left, (low, high) in enumerate(itertools.pairwise(known)):
        # 0 for the two gaps that touch the best alpha, 1 for those that touch their other ends
        distance = place - left - 1 if left < place else left - place
        pieces = {0: parts, 1: parts // 2}.get(distance, 1)
        new |= {round(low + (high - low) * piece / pieces, DECIMALS) for piece in range(1, pieces)}
    return sorted(new - set(known))
