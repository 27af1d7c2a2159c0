"""How much the wrong answers of a problem share with its right ones, and which problems that keeps.

V2 blog, "Filtering": a low-difference problem is one whose wrong trajectories share many intermediate results with its
right ones. Neither the measure nor the threshold is given: here it is the mean Jaccard overlap over all such pairs, as
in the blog's probing study. Legend: _P problem, _G response of a problem's group.
"""

import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

NO_PAIR, LOW_OVERLAP, HIGH_OVERLAP, MIDDLE = "no_pair", "low_overlap", "high_overlap", "middle"


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|a & b| / |a | b|; two empty sets share nothing: 0."""
    return len(a & b) / len(a | b) if a or b else 0.0


def mean_overlap(correct_G: Sequence[bool], results_G: Sequence[frozenset[str]]) -> float | None:
    """Mean overlap of the (right, wrong) pairs of a problem; None where all are right or all are wrong."""
    right = [results for results, correct in zip(results_G, correct_G, strict=True) if correct]
    wrong = [results for results, correct in zip(results_G, correct_G, strict=True) if not correct]
    return statistics.fmean(jaccard(a, b) for a in right for b in wrong) if right and wrong else None


def select(
    overlap_P: Mapping[str, float | None],
    right_P: Mapping[str, int],
    keep: Literal["median", "lower_half", "threshold"],
    threshold: float | None,
    within: Literal["all", "accuracy"],
    without_pair: Literal["drop", "keep"],
) -> tuple[dict[str, str | None], float | None]:
    """Per problem the reason why it is left out (None: it stays), and the overlap that separates them, if there is one.

    overlap_P: as of `mean_overlap`; right_P: right responses of each problem, all of the same k
    keep: `median` keeps what reaches the median of the problems with a pair, `lower_half` the others of them,
    `threshold` what reaches `threshold`
    within: `accuracy` halves the problems of each number of right responses, so that both halves are equally difficult;
    the middle one of an odd number is in neither
    """
    measured_P = {problem_id: overlap for problem_id, overlap in overlap_P.items() if overlap is not None}
    without = NO_PAIR if without_pair == "drop" else None
    reasons: dict[str, str | None] = dict.fromkeys(overlap_P, without)
    if within == "accuracy":
        return reasons | _halves(measured_P, right_P, keep), None
    bound = threshold
    if keep != "threshold":
        bound = statistics.median(measured_P.values()) if measured_P else None
    if bound is not None:
        low, high = (None, HIGH_OVERLAP) if keep == "lower_half" else (LOW_OVERLAP, None)
        reasons |= {problem_id: high if overlap >= bound else low for problem_id, overlap in measured_P.items()}
    return reasons, bound


def _halves(
    measured_P: Mapping[str, float], right_P: Mapping[str, int], keep: Literal["median", "lower_half", "threshold"]
) -> dict[str, str | None]:
    """`select` for the problems with a pair, level by level; ties go by the problem's id."""
    levels: dict[int, list[str]] = {}
    for problem_id in sorted(measured_P, key=lambda name: (measured_P[name], name)):
        levels.setdefault(right_P[problem_id], []).append(problem_id)
    low, high = (None, HIGH_OVERLAP) if keep == "lower_half" else (LOW_OVERLAP, None)
    reasons: dict[str, str | None] = {}
    for level in levels.values():
        half = len(level) // 2
        reasons |= dict.fromkeys(level, MIDDLE) | dict.fromkeys(level[:half], low)
        reasons |= dict.fromkeys(level[len(level) - half :], high)
    return reasons
