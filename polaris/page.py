"""results.json as one self-contained HTML page: what the templates report*.html ask for."""

import functools
from pathlib import Path
from typing import Any

from polaris import claims, response_rows, results
from polaris.page_charts import columns, draw, with_selection
from polaris.progress import duration
from polaris.verdicts import AVERAGE

SHOWN = (results.LADDER, results.GENERALISTS)  # families whose comparisons are named one by one
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
    pictures = {
        name: [(title, jinja2.utils.markupsafe.Markup(svg)) for title, svg in drawn]
        for name, drawn in draw(found).items()
    }
    generalists = found["settings"]["generalists"]
    score = {(row["name"], row["benchmark"]): row for row in found["models"]}
    pair = {(row["a"], row["b"], row["benchmark"]): row for row in found["pairs"]}
    merged = [model for _, model in results.by_alpha(found["settings"]["alphas"]) if model not in generalists]

    def higher(a: str, b: str, benchmark: str) -> bool:
        return results.verdict(pair[a, b, benchmark], found["settings"]["confidence"]) == "higher"

    return environment.get_template("report.html").render(
        found,
        score=lambda *key: score[key],
        pair=lambda *key: pair.get(key),
        measure={(row["name"], row["benchmark"], row["measure"]): row for row in found["measures"]},
        length={(row["name"], row["benchmark"], row["group"]): row for row in found["lengths"]},
        pictures=pictures,
        columns=columns(found),
        wide=with_selection(found),
        couples=list(dict.fromkeys((row["a"], row["b"]) for row in found["pairs"] if row["family"] in SHOWN)),
        checkpoint={row["name"]: row for row in found["checkpoints"]},
        merged=merged,
        twins=twins(found["settings"]),
        printed={(row["name"], row["benchmark"]): row for row in found["published"]},
        above={name: [m for m in merged if all(higher(m, g, name) for g in generalists)] for name, _ in columns(found)},
        average=AVERAGE,
        power=results.POWER,
        chose=response_rows.CHOSEN,
        conclusions=[concluded(row, found) for row in found["claims"]],
        total=sum(row["seconds"] for row in found["timings"]),
        versions=versions(found),
    )


def concluded(row: dict[str, Any], found: dict[str, Any]) -> str:
    """A row of `claims` in words."""
    confidence = found["settings"]["confidence"]
    shown = {title: results.verdict(row["differences"][name], confidence) for name, title in columns(found) if row["b"]}
    return claims.conclusion(claims.Claim(row["about"], row["a"], row["b"], row["told"]), shown)


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
