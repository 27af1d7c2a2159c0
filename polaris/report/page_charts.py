"""The pictures of the report's page, from results.json: place on the page -> (heading, SVG) in order."""

from collections.abc import Sequence
from typing import Any

from polaris.charts import charts
from polaris.charts.charts import Line, Row, axis_percent, axis_points
from polaris.evaluation import results
from polaris.evaluation.response_rows import ALL, OTHERS
from polaris.evaluation.verdicts import AVERAGE
from polaris.report.front import front_charts
from polaris.stage.progress import duration

TONES = 4  # lines of one picture, each in its own colour
SHOWN = 11  # stages with a bar of their own in the picture of the time


def columns(report: dict[str, Any]) -> list[tuple[str, str]]:
    """(benchmark, heading) of what is reported; with one benchmark its average is itself."""
    names = [(name, name) for name in report["headline"]]
    return names + ([(AVERAGE, "mean")] if len(names) > 1 else [])


def with_selection(report: dict[str, Any]) -> list[tuple[str, str]]:
    """`columns`, and after them the sets on which alpha is chosen."""
    return columns(report) + [(name, name) for name in report["choice"]["select_on"]]


def draw(report: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Every picture."""
    return {
        "ladder": ladder_charts(report),
        "changes": change_charts(report),
        "alphas": alpha_charts(report),
        "front": front_charts(report),
        "rewards": reward_charts(report),
        "paid": paid_charts(report),
        "validations": validation_charts(report),
        "losses": loss_charts(report),
        "difficulty": difficulty_charts(report),
        "budgets": budget_charts(report),
        "hardest": hardest_charts(report),
        "time": [("Wall time by stage", time_chart(report))],
    }


def first_charts(drawn: dict[str, list[tuple[str, str]]]) -> dict[str, list[tuple[str, str]]]:
    """`draw` with the two pictures of the first screen moved to `first`: the ladder, and the alpha curve or the
    differences.

    Both are of the last column: the mean, where there is one.
    """
    place = len(drawn["ladder"]) - 1
    beside = "alphas" if drawn["alphas"] else "changes"
    first = [drawn[name][place] for name in ("ladder", beside) if drawn[name]]
    rest = {name: drawn[name][:place] + drawn[name][place + 1 :] for name in ("ladder", beside)}
    return drawn | rest | {"first": first}


def drawn_models(settings: dict[str, Any]) -> list[str]:
    """The models of the first picture: the ladder, or where there is none the further models, or the generalists."""
    return settings["ladder"] or settings["models"] or settings["generalists"]


def ladder_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    drawn = []
    for benchmark, heading in columns(report):
        rows = [
            Row(
                row["name"],
                row["avg"],
                f"{results.percent(row['avg'])} {results.span(row['interval'])}",
                *row["interval"],
            )
            for row in report["models"]
            if row["benchmark"] == benchmark and row["name"] in drawn_models(report["settings"])
        ]
        drawn.append((heading, charts.interval_chart(rows, f"avg@k on {heading}, %", axis_percent)))
    return drawn


def change_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Paired differences of these models, grey where none is shown."""
    drawn = []
    for benchmark, heading in columns(report):
        rows = [
            Row(
                f"{row['a']} − {row['b']}",
                row["difference"],
                f"{results.points(row['difference'])} {results.span(row['interval'], results.points)}",
                *row["interval"],
                tone={"higher": 0, "lower": 1}.get(results.verdict(row, report["settings"]["confidence"]), 3),
            )
            for row in report["pairs"]
            if row["benchmark"] == benchmark and row["a"] in drawn_models(report["settings"])
        ]
        if rows:
            drawn.append(
                (heading, charts.interval_chart(rows, f"Differences on {heading}, points", axis_points, zero=True))
            )
    return drawn


def alpha_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Scores over alpha, with self-distillation of both arms."""
    if not report["alphas"]:
        return []
    both = {"the specialist's traces": report["alphas"], "its own traces": report["own_alphas"]}
    arms = both if report["own_alphas"] else {"": report["alphas"]}
    drawn = []
    for benchmark, heading in with_selection(report):
        lines = []
        for tone, (name, arm) in enumerate(arms.items()):
            rows = [row for row in arm if row["benchmark"] == benchmark]
            low, high = zip(*(row["interval"] for row in rows), strict=True)
            lines.append(Line(name, [row["alpha"] for row in rows], [row["avg"] for row in rows], low, high, tone))
        marks = [(alpha, f"{alpha:g}") for alpha in lines[0].x]
        label = "alpha: weight of the base model"
        svg = charts.line_chart(lines, f"avg@k on {heading} over alpha, %", label, axis_percent, marks)
        drawn.append((heading, svg))
    return drawn


def budget_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Accuracy against a token budget: the ladder's ends, the generalists and the chosen merge, further models,
    extra evaluations.
    """
    settings, merge = report["settings"], report["choice"]["model"]
    ladder = list(dict.fromkeys([*settings["ladder"][:1], *settings["ladder"][-1:]]))
    generalists = list(dict.fromkeys([*settings["generalists"], *([merge] if merge else [])]))
    groups = {"specialist": ladder, "generalist": generalists}
    for start in range(0, len(settings["models"]), TONES):
        models = settings["models"][start : start + TONES]
        groups["models" if start == 0 else f"models from {models[0]}"] = models
    for name in settings["extra_evaluations"]:
        model = results.evaluated_model(name)
        groups.setdefault(model, [model]).append(name)
    drawn = []
    for benchmark in report["headline"]:
        for kind, names in groups.items():
            if names:
                title, lines = f"{benchmark}: {kind}", _curves(report, benchmark, names)
                span = (0.0, max(high for line in lines for high in line.high))
                svg = charts.line_chart(lines, title, "token budget", axis_percent, y_span=span)
                drawn.append((title, svg))
    return drawn


def _curves(report: dict[str, Any], benchmark: str, names: Sequence[str]) -> list[Line]:
    lines = []
    for tone, name in enumerate(names):
        rows = [row for row in report["budgets"] if (row["name"], row["benchmark"]) == (name, benchmark)]
        low, high = zip(*(row["interval"] for row in rows), strict=True)
        budgets, values = [row["budget"] for row in rows], [row["value"] for row in rows]
        lines.append(Line(name, budgets, values, low, high, tone))
    return lines


def hardest_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Problem by problem: the base's other samples, the distilled model, the chosen merge; or the ladder's last
    model; or all further models.
    """
    settings = report["settings"]
    ladder = (*settings["ladder"][:1], *settings["ladder"][-1:])
    shown = {report["choice"]["model"], *(settings["generalists"] or ladder or settings["models"][:TONES])}
    drawn = []
    for pool in report["hardest"]:
        rows = [row for row in pool["rows"] if row["samples"] in (OTHERS, ALL) and row["name"] in shown]
        groups = [(row["name"], tone, row["per_problem"]) for tone, row in enumerate(rows)]
        labels = [str(place) for place in range(1, len(pool["problems"]) + 1)]
        title = f"{pool['pool']}: the {len(labels)} hardest of {pool['of']}"
        drawn.append((title, charts.column_chart(labels, groups, title, "problem, hardest first", axis_percent)))
    return drawn


def reward_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Accuracy and reward of each RL stage, all on one axis."""
    stages: dict[str, dict[str, Any]] = {}
    for row in report["curves"]:
        if row["metric"] in ("accuracy", "reward"):
            stages.setdefault(row["stage"], {})[row["metric"]] = row
    values = [value for curves in stages.values() for row in curves.values() for value in row["values"]]
    drawn = []
    for stage, curves in stages.items():
        if len(curves) == 2 and curves["accuracy"]["values"] == curves["reward"]["values"]:
            curves = {"accuracy = reward": curves["accuracy"]}
        lines = [Line(name, row["steps"], row["values"], tone=tone) for tone, (name, row) in enumerate(curves.items())]
        title, span, warned = f"{stage}: {' and '.join(curves)}", (min(values), max(values)), _warned(report, stage)
        drawn.append((stage, charts.line_chart(lines, title, "step", axis_percent, y_span=span, warned=warned)))
    return drawn


def paid_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """What share of each RL stage's reward went to wrong responses, where any did; all on one axis."""
    rows = [row for row in report["curves"] if row["metric"] == "paid_wrong" and any(row["values"])]
    highest = max((value for row in rows for value in row["values"]), default=0.0)
    drawn = []
    for row in rows:
        title, line = f"{row['stage']}: reward of wrong responses", Line("", row["steps"], row["values"], tone=1)
        span, warned = (0.0, highest), _warned(report, row["stage"])
        drawn.append((title, charts.line_chart([line], title, "step", axis_percent, y_span=span, warned=warned)))
    return drawn


def _warned(report: dict[str, Any], stage: str) -> list[tuple[float, str]]:
    """Where a stage's curves are marked: the steps at which its alarm warned, and what it said."""
    return [(row["step"], row["text"]) for row in report["warnings"] if row["stage"] == stage]


def validation_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """avg@k of each RL stage's actor on a benchmark, while it was trained."""
    drawn = []
    for row in report["curves"]:
        if row["metric"] == "avg":
            heading, line = (
                f"{row['stage']}: avg@{row['k']} on {row['benchmark']}",
                Line("", row["steps"], row["values"]),
            )
            drawn.append((heading, charts.line_chart([line], heading, "step", axis_percent)))
    return drawn


def loss_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Loss of each supervised training (an RL loss says nothing by its height), and how far each student of an
    on-policy distillation is from its teacher.
    """
    rewarded = {row["stage"] for row in report["curves"] if row["metric"] != "loss"}
    drawn = []
    for row in report["curves"]:
        if row["metric"] == "reverse_kl" or row["stage"] not in rewarded:
            what = "KL from its teacher, nats a token" if row["metric"] == "reverse_kl" else "loss"
            heading, line = f"{row['stage']}: {what}", Line("", row["steps"], row["values"])
            drawn.append((heading, charts.line_chart([line], heading, "step", charts.plain)))
    return drawn


def difficulty_charts(report: dict[str, Any]) -> list[tuple[str, str]]:
    drawn = []
    for row in report["difficulty"]:
        groups = [("all", 3, row["all"]), ("kept", 0, row["kept"])]
        title = f"{row['stage']}: problems by right responses of {row['k']}"
        svg = charts.column_chart(
            [str(n) for n in range(row["k"] + 1)], groups, title, f"right responses of {row['k']}"
        )
        drawn.append((title, svg))
    return drawn


def time_chart(report: dict[str, Any]) -> str:
    """The longest stages, and the others together."""
    rows = sorted(report["timings"], key=lambda row: -row["seconds"])
    bars = [Row(row["stage"], row["seconds"], duration(row["seconds"])) for row in rows[:SHOWN]]
    if rest := rows[SHOWN:]:
        seconds = sum(row["seconds"] for row in rest)
        bars.append(Row(f"{len(rest)} others together", seconds, duration(seconds), tone=3))
    return charts.bar_chart(bars, "Wall time by stage")
