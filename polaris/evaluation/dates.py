"""Which benchmarks are newer than a model, so that it cannot have been trained on them, and which verdicts have none.

A date is a year, a month or a day: `2025`, `2025-02`, `2025-02-14`. A set is newer where its first possible day lies
after the model's last one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from polaris.evaluation import results
from polaris.evaluation.verdicts import AVERAGE

Dates = Mapping[str, str]  # model, or benchmark -> date; without those that are not known


def is_newer(benchmark: str | None, model: str | None) -> bool | None:
    """Whether a benchmark of one date is newer than a model of another; None where one of them is not known."""
    if benchmark is None or model is None:
        return None
    return benchmark + "-01-01"[len(benchmark) - 4 :] > model + "-12-31"[len(model) - 4 :]


def latest(dates: Sequence[str | None]) -> str | None:
    """The date of what was made from things of these dates; None where one of them is not known."""
    known = [date for date in dates if date is not None]
    return (
        max(known, key=lambda date: date + "-12-31"[len(date) - 4 :], default=None)
        if len(known) == len(dates)
        else None
    )


def date_rows(models: Dates, benchmarks: Dates, headline: Sequence[str]) -> list[dict[str, Any]]:
    """`dates` of results.json: a row per model of a known date, with the reported benchmarks by what they are to it.

    newer: published after it; seen: published before, so that it may have been trained on them; unknown: without a date
    """
    rows = []
    for model, date in models.items():
        sets: dict[bool | None, list[str]] = {True: [], False: [], None: []}
        for name in headline:
            sets[is_newer(benchmarks.get(name), date)].append(name)
        rows.append({"name": model, "date": date, "newer": sets[True], "seen": sets[False], "unknown": sets[None]})
    return rows


def on_seen_sets(
    rows: Sequence[Mapping[str, Any]], dates: Sequence[Mapping[str, Any]], headline: Sequence[str], confidence: float
) -> list[dict[str, Any]]:
    """`on_seen_sets` of results.json: comparisons that show a difference, or are judged against a published one, of
    which one of the two models may have seen every benchmark.

    rows: of `pairs` and of `published_differences`; dates: `date_rows`
    """
    seen = {row["name"]: set(row["seen"]) for row in dates}
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        over = set(headline) if row["benchmark"] == AVERAGE else {row["benchmark"]}
        word = row.get("judgement") or results.verdict(row, confidence)
        models = [name for name in (row["a"], row["b"]) if over <= seen.get(results.evaluated_model(name), set())]
        if models and word not in ("no difference shown", "cannot be told"):
            place = row["a"], row["b"], row["benchmark"]
            found[place] = dict(zip(("a", "b", "benchmark"), place, strict=True)) | {"seen_by": models}
    return list(found.values())
