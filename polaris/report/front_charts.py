"""The pictures of several benchmarks at once: each model as a point, and the front of those that no other one beats."""

from typing import Any

from polaris.charts.charts import axis_percent
from polaris.charts.point_chart import Point, point_chart


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
