"""Averages of several distilled models with their base: rows of results.json, and what they are compared with."""

from collections.abc import Mapping
from typing import Any

from polaris.evaluation import results
from polaris.evaluation.results import Numbers
from polaris.evaluation.verdicts import AVERAGE
from polaris.report.settings import ReportPage

FAMILY = "soup"


def soup_rows(numbers: Numbers, settings: ReportPage) -> dict[str, Any]:
    """`soups` and `soup_choice` of results.json: a row per point and benchmark, in the order of the shares, and which
    point was chosen, as in `choice`. Empty and None without a soup.

    shares: of the base, then of each distilled model, as `settings.soup.models` names them
    """
    soup = settings.soup
    if not soup:
        return {"soups": [], "soup_choice": None}
    rows = []
    for text, model in results.by_alpha(soup.points):
        shares = list(map(float, text.split("_")))
        for benchmark in [*numbers.benchmarks, AVERAGE]:
            estimate = numbers.score(model, benchmark)
            row = {"shares": shares, "model": model, "benchmark": benchmark, "avg": round(estimate.value, 6)}
            rows.append(row | {"interval": numbers.interval(estimate)})
    return {
        "soups": rows,
        "soup_choice": results.choice(numbers, soup.points, settings.select_on, soup.selected),
    }


def compared(settings: ReportPage) -> list[tuple[str, str, str]]:
    """(family, a, b): each average against each model that it may hold."""
    soup = settings.soup
    return [(FAMILY, name, other) for name in soup.made for other in soup.models] if soup else []


def table(settings: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The models averaged and the averages, each of these with the comparisons below its scores."""
    if not (soup := settings.get("soup")):
        return []
    averages = [model for _, model in results.by_alpha(soup["points"]) if model not in soup["models"]]
    return [(name, []) for name in soup["models"]] + [
        (name, [(name, other) for other in soup["models"]]) for name in averages
    ]
