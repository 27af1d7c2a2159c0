"""results.json as one self-contained HTML page: what the templates report*.html ask for."""

import functools
from pathlib import Path
from typing import Any

from polaris.evaluation import claims, response_rows, results
from polaris.evaluation.verdicts import AVERAGE
from polaris.report.page_charts import columns, draw, first_charts, with_selection
from polaris.stage.progress import duration

SUPERVISED = "Supervised training"
# A claim -> the finding that holds it.
SUBJECTS = {
    claims.TRAINING: "Reinforcement learning",
    claims.PROCESS_REWARD: "Process reward",
    claims.FILTER: "Overlap filter",
    claims.HALF: "Overlap filter",
    claims.RESCUE: "Rollout rescue",
    claims.MERGE: "Merge and transfer",
    claims.TRANSFER: "Merge and transfer",
}
TEMPLATES = Path(__file__).parent


def page(found: dict[str, Any]) -> str:
    """results.json as one self-contained HTML page."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": results.percent,
        "points": results.points,
        "span": results.span,
        "point_span": functools.partial(results.span, word=results.points),
        "p_word": results.p_word,
        "verdict": functools.partial(results.verdict, confidence=found["settings"]["confidence"]),
        "measured": measured,
        "duration": duration,
        "counts": counts,
    }
    markup = jinja2.utils.markupsafe.Markup
    pictures = {
        name: [(title, markup(svg)) for title, svg in drawn] for name, drawn in first_charts(draw(found)).items()
    }
    return environment.get_template("report.html").render(
        found,
        **_lookups(found),
        pictures=pictures,
        columns=columns(found),
        wide=with_selection(found),
        findings=findings(found),
        tables=tables(found),
        average=AVERAGE,
        power=results.POWER,
        chose=response_rows.CHOSEN,
        conclusions=[concluded(row, found) for row in found["claims"]],
        total=sum(row["seconds"] for row in found["timings"]),
        versions=versions(found),
    )


def _lookups(found: dict[str, Any]) -> dict[str, Any]:
    """Rows of results.json by what they are about."""
    score = {(row["name"], row["benchmark"]): row for row in found["models"]}
    pair = {(row["a"], row["b"], row["benchmark"]): row for row in found["pairs"]}
    controlled = {(row["a"], row["b"]): row["differences"].values() for row in found["claims"]}
    return {
        "score": lambda *key: score[key],
        "pair": lambda *key: pair.get(key),
        "measure": {(row["name"], row["benchmark"], row["measure"]): row for row in found["measures"]},
        "length": {(row["name"], row["benchmark"], row["group"]): row for row in found["lengths"]},
        "checkpoint": {row["name"]: row for row in found["checkpoints"]},
        "printed": {(row["name"], row["benchmark"]): row for row in found["published"]},
        "above": above(found),
        "comparisons": [*found["pairs"], *(row for rows in controlled.values() for row in rows)],
    }


def tables(found: dict[str, Any]) -> dict[str, list[tuple[str, list[tuple[str, str]]]]]:
    """Table of scores -> its models in order, each with the comparisons (a, b) that stand below its scores."""
    settings, compared = found["settings"], {(row["a"], row["b"]) for row in found["pairs"]}
    ends, start = settings["generalists"], {row["name"]: row["start"] for row in found["checkpoints"]}
    wanted = {
        "ladder": [(name, [(name, start[name])]) for name in settings["ladder"]],
        "generalists": [(name, [(name, end) for end in ends]) for name in [*ends, *merged(settings)]],
        "own": [(name, [(name, ends[0]), (other, name)]) for name, other in twins(settings)],
        "further": [(name, [(name, results.evaluated_model(name))]) for name in settings["also"]],
    }
    return {
        table: [(name, [pair for pair in pairs if pair in compared]) for name, pairs in rows]
        for table, rows in wanted.items()
    }


def findings(found: dict[str, Any]) -> list[tuple[str, dict[str, list[dict[str, Any]]], list[str]]]:
    """(subject, verdict on the last column -> comparisons as in `claims`, models without a control), one per
    sentence.
    """
    last, confidence = columns(found)[-1][0], found["settings"]["confidence"]
    drawn = []
    for subject, rows in _subjects(found).items():
        by_verdict: dict[str, list[dict[str, Any]]] = {"higher": [], "lower": [], "no difference shown": []}
        for row in rows:
            if row["b"]:
                by_verdict[results.verdict(row["differences"][last], confidence)].append(row)
        drawn.append((subject, by_verdict, list(dict.fromkeys(row["a"] for row in rows if not row["b"]))))
    return drawn


def _subjects(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What a finding is about -> its comparisons: the claims, and supervised trainings against their starts."""
    starts = {(row["name"], row["start"]) for row in found["checkpoints"]}
    claimed = {(row["a"], row["b"]) for row in found["claims"]}
    supervised: dict[tuple[str, str], dict[str, Any]] = {}
    for row in found["pairs"]:
        pair = row["a"], row["b"]
        if row["family"] in (results.LADDER, results.GENERALISTS) and pair in starts - claimed:
            supervised.setdefault(pair, {})[row["benchmark"]] = row
    subjects: dict[str, list[dict[str, Any]]] = {}
    for (a, b), differences in supervised.items():
        subjects.setdefault(SUPERVISED, []).append({"a": a, "b": b, "differences": differences})
    for row in found["claims"]:
        subjects.setdefault(SUBJECTS[row["about"]], []).append(row)
    return subjects


def merged(settings: dict[str, Any]) -> list[str]:
    """The merged models in the order of alpha, without the ends."""
    return [name for _, name in results.by_alpha(settings["alphas"]) if name not in settings["generalists"]]


def above(found: dict[str, Any]) -> dict[str, list[str]]:
    """Benchmark -> merged models that are higher than every generalist."""
    settings = found["settings"]
    higher = {
        (row["a"], row["b"], row["benchmark"])
        for row in found["pairs"]
        if results.verdict(row, settings["confidence"]) == "higher"
    }
    return {
        benchmark: [
            name
            for name in merged(settings)
            if all((name, end, benchmark) in higher for end in settings["generalists"])
        ]
        for benchmark, _ in columns(found)
    }


def concluded(row: dict[str, Any], found: dict[str, Any]) -> str:
    """A row of `claims` in words."""
    confidence = found["settings"]["confidence"]
    shown = {title: results.verdict(row["differences"][name], confidence) for name, title in columns(found) if row["b"]}
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


def versions(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """(tool, its versions in this run)."""
    seen: dict[str, set[str]] = {}
    for row in found["lineage"]:
        for tool, version in row["tools"].items():
            seen.setdefault(tool, set()).add(version)
    return [(tool, sorted(those)) for tool, those in sorted(seen.items())]
