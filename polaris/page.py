"""results.json as one self-contained HTML page: the pictures, and what the template report.html asks for."""

import functools
from pathlib import Path
from typing import Any

from polaris import charts, results
from polaris.charts import Line, Row
from polaris.progress import duration
from polaris.results import AVERAGE

TEMPLATE = Path(__file__).with_name("report.html")
SHOWN = 11  # stages with a bar of their own in the picture of the time


def page(found: dict[str, Any]) -> str:
    """results.json as one self-contained HTML page."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": results.percent,
        "points": results.points,
        "span": results.span,
        "point_span": functools.partial(results.span, word=results.points),
        "verdict": results.verdict,
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
        return results.verdict(pair[a, b, benchmark]["interval"]) == "higher"

    return environment.from_string(TEMPLATE.read_text()).render(
        found,
        score=lambda *key: score[key],
        pair=lambda *key: pair.get(key),
        pictures=pictures,
        columns=columns(found),
        couples=list(dict.fromkeys((row["a"], row["b"]) for row in found["pairs"])),
        checkpoint={row["name"]: row for row in found["checkpoints"]},
        merged=merged,
        above={name: [m for m in merged if all(higher(m, g, name) for g in generalists)] for name, _ in columns(found)},
        average=AVERAGE,
        total=sum(row["seconds"] for row in found["timings"]),
        versions=versions(found),
    )


def columns(found: dict[str, Any]) -> list[tuple[str, str]]:
    """(benchmark, heading) of the tables; with one benchmark its average is itself."""
    names = [(name, name) for name in found["benchmarks"]]
    return names + ([(AVERAGE, "mean")] if len(names) > 1 else [])


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


def draw(found: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Every picture: place on the page -> (heading, SVG) in order."""
    return {
        "ladder": ladder_charts(found),
        "changes": change_charts(found),
        "alphas": alpha_charts(found),
        "rewards": reward_charts(found),
        "losses": loss_charts(found),
        "difficulty": difficulty_charts(found),
        "time": [("Wall time by stage", time_chart(found))],
    }


def axis_percent(share: float) -> str:
    """0.585 -> 58.5%"""
    return f"{round(100 * share, 4):g}%"


def axis_points(difference: float) -> str:
    """0.05 -> +5"""
    return f"{round(100 * difference, 4):+g}".replace("-", "−") if difference else "0"


def ladder_charts(found: dict[str, Any]) -> list[tuple[str, str]]:
    drawn = []
    for benchmark, heading in columns(found):
        rows = [
            Row(
                row["name"],
                row["avg"],
                f"{results.percent(row['avg'])} {results.span(row['interval'])}",
                *row["interval"],
            )
            for row in found["models"]
            if row["benchmark"] == benchmark and row["name"] in found["settings"]["ladder"]
        ]
        drawn.append((heading, charts.interval_chart(rows, f"avg@k on {heading}, %", axis_percent)))
    return drawn


def change_charts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Paired differences within the ladder, grey where none is shown."""
    drawn = []
    for benchmark, heading in columns(found):
        rows = [
            Row(
                f"{row['a']} − {row['b']}",
                row["difference"],
                f"{results.points(row['difference'])} {results.span(row['interval'], results.points)}",
                *row["interval"],
                tone={"higher": 0, "lower": 1}.get(results.verdict(row["interval"]), 3),
            )
            for row in found["pairs"]
            if row["benchmark"] == benchmark and row["a"] in found["settings"]["ladder"]
        ]
        if rows:
            drawn.append(
                (heading, charts.interval_chart(rows, f"Differences on {heading}, points", axis_points, zero=True))
            )
    return drawn


def alpha_charts(found: dict[str, Any]) -> list[tuple[str, str]]:
    drawn = []
    for benchmark, heading in columns(found):
        rows = [row for row in found["alphas"] if row["benchmark"] == benchmark]
        if rows:
            low, high = zip(*(row["interval"] for row in rows), strict=True)
            line = Line("", [row["alpha"] for row in rows], [row["avg"] for row in rows], low, high)
            marks = [(row["alpha"], f"{row['alpha']:g}") for row in rows]
            label = "alpha: weight of the base model"
            svg = charts.line_chart([line], f"avg@k on {heading} over alpha, %", label, axis_percent, marks)
            drawn.append((heading, svg))
    return drawn


def reward_charts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Accuracy and reward of each RL stage, all on one axis."""
    stages: dict[str, dict[str, Any]] = {}
    for row in found["curves"]:
        if row["metric"] in ("accuracy", "reward"):
            stages.setdefault(row["stage"], {})[row["metric"]] = row
    values = [value for curves in stages.values() for row in curves.values() for value in row["values"]]
    drawn = []
    for stage, curves in stages.items():
        if len(curves) == 2 and curves["accuracy"]["values"] == curves["reward"]["values"]:
            curves = {"accuracy = reward": curves["accuracy"]}
        lines = [Line(name, row["steps"], row["values"], tone=tone) for tone, (name, row) in enumerate(curves.items())]
        title, span = f"{stage}: {' and '.join(curves)}", (min(values), max(values))
        drawn.append((stage, charts.line_chart(lines, title, "step", axis_percent, y_span=span)))
    return drawn


def loss_charts(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Loss of each supervised training (an RL loss says nothing by its height)."""
    rewarded = {row["stage"] for row in found["curves"] if row["metric"] != "loss"}
    drawn = []
    for row in found["curves"]:
        if row["stage"] not in rewarded:
            heading, line = f"{row['stage']}: loss", Line("", row["steps"], row["values"])
            drawn.append((heading, charts.line_chart([line], heading, "step", charts.plain)))
    return drawn


def difficulty_charts(found: dict[str, Any]) -> list[tuple[str, str]]:
    drawn = []
    for one in found["difficulty"]:
        groups = [("all", 3, one["all"]), ("kept", 0, one["kept"])]
        title = f"{one['stage']}: problems by right responses of {one['k']}"
        svg = charts.column_chart(
            [str(n) for n in range(one["k"] + 1)], groups, title, f"right responses of {one['k']}"
        )
        drawn.append((title, svg))
    return drawn


def time_chart(found: dict[str, Any]) -> str:
    """The longest stages, and the others together."""
    rows = sorted(found["timings"], key=lambda row: -row["seconds"])
    bars = [Row(row["stage"], row["seconds"], duration(row["seconds"])) for row in rows[:SHOWN]]
    if rest := rows[SHOWN:]:
        seconds = sum(row["seconds"] for row in rest)
        bars.append(Row(f"{len(rest)} others together", seconds, duration(seconds), tone=3))
    return charts.bar_chart(bars, "Wall time by stage")
