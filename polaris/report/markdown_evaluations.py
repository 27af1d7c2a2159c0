"""Extra evaluations and published values, as parts of the report in Markdown."""

from collections.abc import Sequence
from typing import Any

from polaris.evaluation import results
from polaris.report.markdown_text import NONE, escaped, table
from polaris.report.page_charts import columns, with_selection

JUDGEMENTS = (
    "Consistent: the interval of this run includes the published difference. Above, below: this run's is larger, or "
    "smaller. Cannot be told: the interval includes 0, too, and so small an effect could hardly have been seen."
)


def extra(report: dict[str, Any]) -> list[str]:
    extra = report["settings"]["extra_evaluations"]
    if not extra:
        return []
    changes = escaped("; ".join(f"{name}: {changed}" for name, changed in extra.items()))
    shown = dict(columns(report))
    rows = [
        [row["name"], shown[row["benchmark"]], f"{results.percent(row['low'])} to {results.percent(row['high'])}"]
        for row in report["spreads"]
        if row["benchmark"] in shown
    ]
    within = [
        f"{row['a']} − {row['b']} on {shown[row['benchmark']]} ({results.points(row['difference'])}, spread "
        f"{100 * row['spread']:.1f})"
        for row in report["within_spread"]
        if row["benchmark"] in shown
    ]
    return [
        f"*{results.EXTRA.capitalize()}*: the same models with other settings of the evaluation. {changes}.",
        table(["model", "benchmark", "lowest to highest score"], rows),
        *([f"Smaller than the spread of one of the two models: {escaped('; '.join(within))}."] if within else []),
    ]


def dates(report: dict[str, Any]) -> list[str]:
    if not report["dates"]:
        return []
    rows = [
        [row["name"], row["date"], *(", ".join(row[key]) or NONE for key in ("newer", "seen", "unknown"))]
        for row in report["dates"]
    ]
    shown = dict(with_selection(report))
    alone = [
        f"{row['a']} − {row['b']} on {shown[row['benchmark']]} ({' and '.join(row['seen_by'])})"
        for row in report["on_seen_sets"]
        if row["benchmark"] in shown
    ]
    return [
        "## Newer than the models",
        table(["model", "date", "newer sets", "may have seen", "not known"], rows),
        *([f"Rest on sets alone that a model may have seen: {escaped('; '.join(alone))}."] if alone else []),
    ]


def published(report: dict[str, Any]) -> list[str]:
    if not report["published"]:
        return []
    shown = dict(with_selection(report))
    rows = [
        [row["name"], shown[row["benchmark"]], results.percent(row["published"]), results.percent(row["avg"])]
        for row in report["published"]
    ]
    source = report["settings"]["published_values"]["source"]
    return [
        "## Published values",
        table(["model", "benchmark", "published", "this run"], rows),
        f"Source: {escaped(source)}. They have no intervals, and other data, samples, prompts and engines: no finding.",
        *_published_differences(report["published_differences"], shown),
    ]


def _published_differences(differences: Sequence[dict[str, Any]], shown: dict[str, str]) -> list[str]:
    if not differences:
        return []
    rows = [
        [f"{row['a']} − {row['b']}", shown[row["benchmark"]], results.points(row["published"]),
         f"{results.points(row['difference'])} {results.span(row['interval'], results.points)}",
         results.points(row["detectable"]).lstrip("+"), row["judgement"]]
        for row in differences
        if row["benchmark"] in shown
    ]  # fmt: skip
    return [
        table(["difference, points", "benchmark", "published", "this run", "detectable", "judgement"], rows),
        JUDGEMENTS,
    ]


def front(report: dict[str, Any]) -> list[str]:
    """The models that no other one beats on all reported benchmarks, where there are several."""
    if not report["front"]:
        return []
    names = ", ".join(map(escaped, report["front"]))
    over = ", ".join(map(escaped, report["headline"]))
    return [f"No other model is at least as good on {over} and better on one of them: {names}."]
