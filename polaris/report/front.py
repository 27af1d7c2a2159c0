"""Several benchmarks at once: the models that no other one beats (Pareto optimal), and their pictures.

A model is on the front where no other is at least as good on every benchmark and better on one. That is by the scores
themselves: whether two models differ is said by their paired difference.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from polaris.charts.charts import axis_percent
from polaris.charts.point_chart import Point, point_chart

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


def front_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The first reported benchmark against each other one; the front is that of all of them."""
    if not report["front"]:
        return []
    first, *others = report["headline"]
    rows = {(row["name"], row["benchmark"]): row for row in report["models"]}
    names = [
        name for name in dict.fromkeys(name for name, _ in rows) if name not in report["settings"]["extra_evaluations"]
    ]
    drawn = []
    for other in others:
        points = []
        for name in names:
            across, up = rows[name, first], rows[name, other]
            intervals = (tuple(across["interval"]), tuple(up["interval"]))
            kind, tone = _kind(name, report["settings"])
            points.append(Point(name, kind, (across["avg"], up["avg"]), intervals, tone, name in report["front"]))
        heading = f"{other} over {first}"
        drawn.append((heading, point_chart(points, (first, other), f"avg@k on {heading}, %", axis_percent)))
    return drawn


def _kind(name: str, settings: dict[str, Any]) -> tuple[str, int]:
    """What a model is, and its colour."""
    if name in settings["ladder"]:
        return "small", 0
    return ("given", 2) if name in settings["models"] else ("large", 1)
