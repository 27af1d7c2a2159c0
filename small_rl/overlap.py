"""How much the wrong answers of a problem share with its right ones, and which problems that keeps.

V2 blog, "Filtering": a low-difference problem is one whose wrong trajectories share many intermediate results with its
right ones. Neither the measure nor the threshold is given: here it is the mean Jaccard overlap over all such pairs, as in
the blog's probing study. Legend: _P problem, _G response of a problem's group.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

NO_PAIR, LOW_OVERLAP = "no_pair", "low_overlap"


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|a & b| / |a | b|; two empty sets share nothing: 0."""
    return len(a & b) / len(a | b) if a or b else 0.0


def mean_overlap(correct_G: Sequence[bool], steps_G: Sequence[frozenset[str]]) -> float | None:
    """Mean overlap of the (right, wrong) pairs of a problem; None where all are right or all are wrong."""
    right = [steps for steps, correct in zip(steps_G, correct_G, strict=True) if correct]
    wrong = [steps for steps, correct in zip(steps_G, correct_G, strict=True) if not correct]
    return statistics.fmean(jaccard(a, b) for a in right for b in wrong) if right and wrong else None


def select(
    overlap_P: Mapping[str, float | None],
    keep: Literal["median", "threshold"],
    threshold: float | None,
    without_pair: Literal["drop", "keep"],
) -> tuple[dict[str, str | None], float | None]:
    """Per problem why it is left out (None: it stays), and the lowest overlap that stays.

    keep: `median` keeps what reaches the median of the problems with a pair, `threshold` what reaches `threshold`
    """
    values = [overlap for overlap in overlap_P.values() if overlap is not None]
    lowest = threshold if keep == "threshold" else statistics.median(values) if values else None
    reasons: dict[str, str | None] = {}
    for problem_id, overlap in overlap_P.items():
        if overlap is None:
            reasons[problem_id] = NO_PAIR if without_pair == "drop" else None
        else:
            reasons[problem_id] = LOW_OVERLAP if overlap < lowest else None
    return reasons, lowest
