"""How alike two trajectories of one problem are, by whether both, one or none of them is right.

V2 blog, the probing study in its introduction: the intermediate results of two right trajectories overlap far more than
those of any other pair. The measure is the Jaccard overlap of small_rl/data/overlap.py, here for all pairs of a problem
at once.
Legend: _P problem, _G trajectory of a problem's group, _C class of pairs, in the order of CLASSES.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polaris.evaluation.statistics import Estimate, weighted_mean

CLASSES = ("correct-correct", "correct-incorrect", "incorrect-incorrect")


@dataclass(frozen=True)
class PairSums:
    """Sums over the pairs of one problem, by class: of the similarity, of pairs, and of pairs of two empty sets.

    sum_C: float [3]; pairs_C, empty_C: int [3]
    """

    sum_C: NDArray[np.float64]
    pairs_C: NDArray[np.int64]
    empty_C: NDArray[np.int64]


def pair_classes(correct_G: Sequence[bool]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs i < j of a group: i, j and the index of their class in CLASSES; int [pairs] each."""
    right_G = np.asarray(correct_G, dtype=np.int64)
    i, j = np.triu_indices(len(right_G), 1)
    return i, j, 2 - right_G[i] - right_G[j]


def jaccard_GG(results_G: Sequence[frozenset[str]]) -> NDArray[np.float64]:
    """|a & b| / |a | b| of every two sets, float [G, G]; two empty sets share nothing: 0."""
    place = {result: index for index, result in enumerate(sorted(frozenset().union(*results_G)))}
    member_GS = np.zeros((len(results_G), len(place)))
    for row, results in enumerate(results_G):
        member_GS[row, [place[result] for result in results]] = 1
    both_GG, size_G = member_GS @ member_GS.T, member_GS.sum(axis=1)
    either_GG = size_G[:, None] + size_G[None, :] - both_GG
    return np.divide(both_GG, either_GG, out=np.zeros_like(both_GG), where=either_GG > 0)


def jaccard_sums(results_G: Sequence[frozenset[str]], correct_G: Sequence[bool]) -> PairSums:
    """The overlap of all pairs of one problem."""
    i, j, kind = pair_classes(correct_G)
    empty_G = np.array([not results for results in results_G], dtype=bool)
    return PairSums(
        np.bincount(kind, jaccard_GG(results_G)[i, j], minlength=len(CLASSES)).astype(np.float64),
        np.bincount(kind, minlength=len(CLASSES)),
        np.bincount(kind[empty_G[i] & empty_G[j]], minlength=len(CLASSES)),
    )


def class_rows(
    sums_P: Sequence[PairSums], confidence: float, resamples: int, rng: np.random.Generator
) -> dict[str, list[dict[str, Any]]]:
    """{"classes": a row per class, "differences": a row per two neighbouring classes}.

    A class: `mean` is the mean over its problems of the problem's mean over its pairs (each problem counts the same),
    `pooled` the mean over all pairs. A difference: of the problems' means, over the problems that have pairs of both
    classes, so that it is not one of other problems. Intervals: bootstrap over problems; null with fewer than two.
    """
    sum_PC = np.array([sums.sum_C for sums in sums_P]).reshape(-1, 3)
    pairs_PC = np.array([sums.pairs_C for sums in sums_P]).reshape(-1, 3)
    empty_C = np.sum([sums.empty_C for sums in sums_P], axis=0, dtype=int)
    mean_PC = np.divide(sum_PC, pairs_PC, out=np.full(sum_PC.shape, np.nan), where=pairs_PC > 0)

    def estimate(name: str, value_P: NDArray[np.float64], weight_P: NDArray[np.float64]) -> dict[str, Any]:
        if len(value_P) < 2:
            return {name: float(value_P[0]) if len(value_P) else None, f"{name}_interval": None}
        mean: Estimate = weighted_mean(value_P, weight_P, resamples, rng)
        ends = [round(end, 6) for end in mean.interval(confidence)]
        return {name: round(mean.value, 6), f"{name}_interval": ends}

    classes = []
    for c, name in enumerate(CLASSES):
        has_P = pairs_PC[:, c] > 0
        value_P, weight_P = mean_PC[has_P, c], pairs_PC[has_P, c].astype(float)
        row = {
            "class": name,
            "problems": int(has_P.sum()),
            "pairs": int(weight_P.sum()),
            "empty_pairs": int(empty_C[c]),
        }
        row |= estimate("mean", value_P, np.ones_like(value_P)) | estimate("pooled", value_P, weight_P)
        classes.append(row)
    differences = []
    for a, b in ((0, 1), (1, 2)):
        both_P = (pairs_PC[:, a] > 0) & (pairs_PC[:, b] > 0)
        value_P = mean_PC[both_P, a] - mean_PC[both_P, b]
        row = {"a": CLASSES[a], "b": CLASSES[b], "problems": int(both_P.sum())}
        differences.append(row | estimate("difference", value_P, np.ones_like(value_P)))
    return {"classes": classes, "differences": differences}
