"""results.json as one self-contained HTML page: the context of the templates report*.html."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polaris.charts.templates import environment
from polaris.evaluation import claims, response_rows, results
from polaris.evaluation.verdicts import AVERAGE
from polaris.report import paid, soups
from polaris.report.page_charts import columns, draw, first_charts, with_selection
from polaris.stage.progress import duration

SUPERVISED, DISTILLED, MODELS = "Supervised training", "On-policy distillation", "Models"
# A claim -> the finding that holds it.
SUBJECTS = {
    claims.TRAINING: "Reinforcement learning",
    claims.PROCESS_REWARD: "Process reward",
    claims.FILTER: "Overlap filter",
    claims.HALF: "Overlap filter",
    claims.RESCUE: "Rollout rescue",
    claims.MERGE: "Merge and transfer",
    claims.TRANSFER: "Merge and transfer",
    claims.SOUP: "Merge of several",
}
TEMPLATES = Path(__file__).parent


def page(report: dict[str, Any]) -> str:
    """results.json as one self-contained HTML page."""
    template = _templates(report["settings"]["confidence"]).get_template("report.html")
    return template.render(report | _lookups(report) | _sections(report))


@functools.cache
def _templates(confidence: float) -> Any:
    """They are compiled once in a process."""
    pages = environment(TEMPLATES)
    pages.filters |= _filters(confidence)
    pages.globals |= {"average": AVERAGE, "power": results.POWER, "chose": response_rows.CHOSEN, "paid_words": paid}
    return pages


def _filters(confidence: float) -> dict[str, Callable]:
    """How the templates write numbers."""
    return {
        "percent": results.percent,
        "points": results.points,
        "span": results.span,
        "point_span": functools.partial(results.span, word=results.points),
        "p_word": results.p_word,
        "verdict": functools.partial(results.verdict, confidence=confidence),
        "measured": measured,
        "duration": duration,
        "counts": counts,
    }


def _sections(report: dict[str, Any]) -> dict[str, Any]:
    """What the sections of the page show, beside the rows of results.json."""
    from markupsafe import Markup

    drawn = first_charts(draw(report)) | {f"paid {one['stage']}": paid.pictures(one) for one in report["paid"]}
    return {
        "pictures": {name: [(title, Markup(svg)) for title, svg in charts] for name, charts in drawn.items()},
        "columns": columns(report),
        "wide": with_selection(report),
        "findings": findings(report),
        "tables": tables(report),
        "conclusions": [concluded(row, report) for row in report["claims"]],
        "trained": trained(report),
        "total": sum(row["seconds"] for row in report["timings"]),
        "versions": versions(report),
    }


def _lookups(report: dict[str, Any]) -> dict[str, Any]:
    """Rows of results.json by what they are about."""
    score = {(row["name"], row["benchmark"]): row for row in report["models"]}
    pair = {(row["a"], row["b"], row["benchmark"]): row for row in report["pairs"]}
    controlled = {(row["a"], row["b"]): row["differences"].values() for row in report["claims"]}
    return {
        "score": lambda *key: score[key],
        "pair": lambda *key: pair.get(key),
        "measure": {(row["name"], row["benchmark"], row["measure"]): row for row in report["measures"]},
        "length": {(row["name"], row["benchmark"], row["group"]): row for row in report["lengths"]},
        "checkpoint": {row["name"]: row for row in report["checkpoints"]},
        "printed": {(row["name"], row["benchmark"]): row for row in report["published"]},
        "above": above(report),
        "seen": {(row["a"], row["b"], row["benchmark"]) for row in report["on_seen_sets"]},
        "newer": {
            name: row["newer"] for row in report["dates"] for name in (row["name"], *_extra(row["name"], report))
        },
        "comparisons": [*report["pairs"], *(row for rows in controlled.values() for row in rows)],
    }


def _extra(model: str, report: dict[str, Any]) -> list[str]:
    """The model's extra evaluations."""
    return [name for name in report["settings"]["extra_evaluations"] if results.evaluated_model(name) == model]


def tables(report: dict[str, Any]) -> dict[str, list[tuple[str, list[tuple[str, str]]]]]:
    """Table of scores -> its models in order, each with the comparisons (a, b) that stand below its scores."""
    settings, compared = report["settings"], {(row["a"], row["b"]) for row in report["pairs"]}
    ends, start = settings["generalists"], {row["name"]: row["start"] for row in report["checkpoints"]}
    wanted = {
        "ladder": [(name, [(name, start[name])]) for name in settings["ladder"]],
        "generalists": [(name, [(name, end) for end in ends]) for name in [*ends, *merged(settings)]],
        "own": [(name, [(name, ends[0]), (other, name)]) for name, other in twins(settings)],
        "models": [(name, [(name, other) for other in _before(name, settings)]) for name in settings["models"]],
        "soups": soups.table(settings),
        "extra": [(name, [(name, results.evaluated_model(name))]) for name in settings["extra_evaluations"]],
    }
    return {
        table: [(name, [pair for pair in pairs if pair in compared]) for name, pairs in rows]
        for table, rows in wanted.items()
    }


def _before(model: str, settings: dict[str, Any]) -> list[str]:
    """The models that a further one is compared with."""
    further = settings["models"]
    return [*settings["ladder"], *settings["generalists"], *further[: further.index(model)]]


def findings(report: dict[str, Any]) -> list[tuple[str, dict[str, list[dict[str, Any]]], list[str]]]:
    """(subject, verdict on the last column -> comparisons as in `claims`, models without a control), one per
    sentence.
    """
    last, confidence = columns(report)[-1][0], report["settings"]["confidence"]
    drawn = []
    for subject, rows in _subjects(report).items():
        by_verdict: dict[str, list[dict[str, Any]]] = {"higher": [], "lower": [], "no difference shown": []}
        for row in rows:
            if row["b"]:
                by_verdict[results.verdict(row["differences"][last], confidence)].append(row)
        drawn.append((subject, by_verdict, list(dict.fromkeys(row["a"] for row in rows if not row["b"]))))
    return drawn


def _subjects(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What a finding is about -> its comparisons: the claims, and supervised trainings and distillations against their
    starts; in a run without any training all comparisons.
    """
    starts = {(row["name"], row["start"]) for row in report["checkpoints"]}
    claimed = {(row["a"], row["b"]) for row in report["claims"]}
    alone = all(row["family"] in (results.MODELS, results.EXTRA) for row in report["pairs"])
    subject = {results.LADDER: SUPERVISED, results.GENERALISTS: SUPERVISED, results.MODELS: DISTILLED}
    trained: dict[tuple[str, tuple[str, str]], dict[str, Any]] = {}
    for row in report["pairs"]:
        pair = row["a"], row["b"]
        if alone and row["family"] == results.MODELS:
            trained.setdefault((MODELS, pair), {})[row["benchmark"]] = row
        elif row["family"] in subject and pair in starts - claimed:
            trained.setdefault((subject[row["family"]], pair), {})[row["benchmark"]] = row
    subjects: dict[str, list[dict[str, Any]]] = {}
    for (about, (a, b)), differences in trained.items():
        subjects.setdefault(about, []).append({"a": a, "b": b, "differences": differences})
    for row in report["claims"]:
        subjects.setdefault(SUBJECTS[row["about"]], []).append(row)
    return subjects


def trained(report: dict[str, Any]) -> bool:
    """Whether the run trained a model."""
    return any(row["start"] for row in report["models"])


def merged(settings: dict[str, Any]) -> list[str]:
    """The merged models in the order of alpha, without the ends."""
    return [name for _, name in results.by_alpha(settings["alphas"]) if name not in settings["generalists"]]


def above(report: dict[str, Any]) -> dict[str, list[str]]:
    """Benchmark -> merged models that are higher than every generalist."""
    settings = report["settings"]
    higher = {
        (row["a"], row["b"], row["benchmark"])
        for row in report["pairs"]
        if results.verdict(row, settings["confidence"]) == "higher"
    }
    return {
        benchmark: [
            name
            for name in merged(settings)
            if all((name, end, benchmark) in higher for end in settings["generalists"])
        ]
        for benchmark, _ in columns(report)
    }


def concluded(row: dict[str, Any], report: dict[str, Any]) -> str:
    """A row of `claims` in words."""
    confidence = report["settings"]["confidence"]
    shown = {
        title: results.verdict(row["differences"][name], confidence) for name, title in columns(report) if row["b"]
    }
    return claims.conclusion(claims.Claim(row["about"], row["a"], row["b"], row["explanation"]), shown)


def twins(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """(model of the self-distillation, the recipe's model at the same alpha); empty without such an arm."""
    if not (own := settings.get("self_distillation")):
        return []
    base, distilled = settings["generalists"]
    merged = [(model, settings["alphas"][alpha]) for alpha, model in results.by_alpha(own["alphas"])]
    return [(own["distilled"], distilled), *(pair for pair in merged if pair[0] not in (base, own["distilled"]))]


def measured(row: dict[str, Any]) -> tuple[str, str]:
    """A row of `measures` as (value, interval): tokens as they are, shares in percent."""
    word = (lambda tokens: f"{tokens:,.0f}") if row["measure"] == "tokens" else results.percent
    return word(row["value"]), results.span(row["interval"], word)


def counts(metrics: dict[str, Any]) -> list[str]:
    """A data stage's metrics as words: numbers, and named numbers; pictures show the others."""
    words = []
    for key, value in metrics.items():
        name = key.replace("_", " ")
        if isinstance(value, dict) and not any(isinstance(part, (dict, list)) for part in value.values()):
            parts = [f"{part.replace('_', ' ')} {_number(number)}" for part, number in value.items()]
            words.append(f"{name}: {', '.join(parts) or 'none'}")
        elif isinstance(value, (int, float)):
            words.append(f"{name} {_number(value)}")
    return words


def _number(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}"


def versions(report: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """(tool, its versions in this run)."""
    by_tool: dict[str, set[str]] = {}
    for row in report["lineage"]:
        for tool, version in row["tools"].items():
            by_tool.setdefault(tool, set()).add(version)
    return [(tool, sorted(values)) for tool, values in sorted(by_tool.items())]
