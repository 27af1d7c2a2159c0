"""Which models are on the front of several benchmarks: no other one is at least as good on all of them and better on
one (Pareto 1906). By the scores themselves: whether two models differ is said by their paired difference.
"""

from collections.abc import Mapping, Sequence


def front(scores: Mapping[str, Mapping[str, float]], benchmarks: Sequence[str]) -> list[str]:
    """Names of the models on the front, in the order of `scores` (model -> benchmark -> score)."""
    at = {name: [row[benchmark] for benchmark in benchmarks] for name, row in scores.items()}
    return [name for name, mine in at.items() if not any(_better(theirs, mine) for theirs in at.values())]


def _better(theirs: Sequence[float], mine: Sequence[float]) -> bool:
    return theirs != mine and all(one >= other for one, other in zip(theirs, mine, strict=True))
