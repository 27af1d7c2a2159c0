"""Which models are on the front of several benchmarks: no other one is at least as good on all of them and better on
one (Pareto optimal). By the scores themselves: whether two models differ is said by their paired difference.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

FEW = 3  # models, of which fewer need no front


def front_rows(
    models: Iterable[Mapping[str, Any]], benchmarks: Sequence[str], extra: Collection[str] = ()
) -> list[str]:
    """`front` of results.json, from the rows of its `models`: names in their order. None of one benchmark alone.

    extra: names of extra evaluations, which are no further models
    """
    scores: dict[str, dict[str, float]] = {}
    for row in models:
        if row["name"] not in extra:
            scores.setdefault(row["name"], {})[row["benchmark"]] = row["avg"]
    return front(scores, benchmarks) if len(benchmarks) > 1 and len(scores) >= FEW else []


def front(scores: Mapping[str, Mapping[str, float]], benchmarks: Sequence[str]) -> list[str]:
    """Names of the models on the front, in the order of `scores` (model -> benchmark -> score)."""
    at = {name: [row[benchmark] for benchmark in benchmarks] for name, row in scores.items()}
    return [name for name, mine in at.items() if not any(_better(theirs, mine) for theirs in at.values())]


def _better(theirs: Sequence[float], mine: Sequence[float]) -> bool:
    return theirs != mine and all(one >= other for one, other in zip(theirs, mine, strict=True))
