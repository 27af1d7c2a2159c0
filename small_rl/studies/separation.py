"""Does the consensus still tell right from wrong late in a training? The probe's measures, for each step of a stage.

A group is what the probe calls a problem: the responses to one prompt in one step. Results are those that CORE counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from small_rl.studies.similarity import CLASSES, jaccard_GG, pair_classes

COLUMNS = ("step", "group", "correct", "results", "counts")
MEASURES = (*CLASSES, "difference", "pairs", "sets")


def group_numbers(rows: Sequence[Mapping[str, Any]], min_support: int) -> dict[str, float]:
    """MEASURES of one group, without those that it does not have. rows: of store.ROLLOUTS, with COLUMNS

    A class: mean Jaccard overlap of its pairs. `difference`: of the first class to the second. `pairs`: probability
    that two right responses agree more than a right and a wrong one (area under the curve; 0.5: no better than
    chance). `sets`: that a right response has more results of the consensus set, as it was before the step, than a
    wrong one; where any response has one.
    """
    correct_G = [bool(row["correct"]) for row in rows]
    i, j, kind = pair_classes(correct_G)
    overlap = jaccard_GG([frozenset(row["results"]) for row in rows])[i, j]
    of_class = [overlap[kind == number] for number in range(len(CLASSES))]
    found = {name: float(values.mean()) for name, values in zip(CLASSES, of_class, strict=True) if len(values)}
    right, mixed, _ = of_class
    if len(right) and len(mixed):
        found |= {"difference": float(right.mean() - mixed.mean()), "pairs": above(right, mixed)}
    known_G = np.array([sum(count >= min_support for count in row["counts"] or ()) for row in rows])
    if any(correct_G) and not all(correct_G) and known_G.any():
        found["sets"] = above(known_G[correct_G], known_G[np.logical_not(correct_G)])
    return found


def above(a: NDArray, b: NDArray) -> float:
    """Probability that a value of `a` is above one of `b`; equal ones count half."""
    return float((a[:, None] > b).mean() + (a[:, None] == b).mean() / 2)


def means(groups: Iterable[Mapping[str, float]]) -> dict[str, Any]:
    """Mean of each measure over the groups that have it, None without any; `groups`: how many have each."""
    values: dict[str, list[float]] = {name: [] for name in MEASURES}
    for group in groups:
        for name, value in group.items():
            values[name].append(value)
    return {name: fmean(one) if one else None for name, one in values.items()} | {
        "groups": {name: len(one) for name, one in values.items()}
    }
