"""Which alphas, or shares of several models, to try: a grid, and a finer one around the best so far.

Not a golden-section search: that trusts every single comparison, and neighbours on this curve differ by less than their
noise. A grid keeps what was measured, and shows the shape of the top.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

from merge.alpha import Shares

DECIMALS = 3  # of new alphas and shares; finer differences are far below any benchmark's noise


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


def simplex(parts: int, models: int) -> Iterator[Shares]:
    """All shares of so many models that are multiples of 1 / parts: from all of the last to all of the first."""
    for counts in itertools.product(range(parts + 1), repeat=models - 1):
        if sum(counts) <= parts:
            yield tuple(round(count / parts, 6) for count in (*counts, parts - sum(counts)))


def points_of(parts: int, models: int) -> int:
    """How many `simplex` gives."""
    return math.comb(parts + models - 1, models - 1)


def finer_shares(known: Sequence[Shares], best: Shares) -> list[Shares]:
    """New shares in order: from `best`, half as far as its nearest neighbour, a share moves from one model to another.

    Raises ValueError when `best` is none of the known.
    """
    if best not in known:
        raise ValueError(f"shares {best} are none of {known}")
    gaps = [max(abs(a - b) for a, b in zip(best, other, strict=True)) for other in known if other != best]
    step = round(min(gaps, default=0.0) / 2, DECIMALS)
    new = set()
    for taken, given in itertools.permutations(range(len(best)), 2):
        moved = list(best)
        moved[taken], moved[given] = round(best[taken] - step, 6), round(best[given] + step, 6)
        if step and moved[taken] >= 0:
            new.add(tuple(moved))
    return sorted(new - set(known))
