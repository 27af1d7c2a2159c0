"""The tables of a finished run, for the terminal: the ladder, the generalist with its merges, further models."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from polaris.evaluation import results
from polaris.report.page import twins
from polaris.report.page_charts import columns
from polaris.stage import manifest
from polaris.stage.terminal import NONE, say, say_json, table

ENDINGS = {"truncated": "truncated %", "no_answer": "no answer %"}


def main(run: Path, as_json: bool = False) -> None:
    """Print the tables of a run, by its folder, and where the page lies. Raises UserError where there is no report.

    as_json: what the report's results.json holds instead
    """
    stage = manifest.read(run / "report" / "data.json")
    report = json.loads(stage.file("results.json").read_text())
    if as_json:
        say_json(report)
        return
    say("\n".join(lines(report)))
    say(f"\npage  {stage.file('index.html')}")


def lines(report: dict[str, Any]) -> list[str]:
    """Both tables as lines of text, a block per benchmark, so that they fit into a terminal."""
    settings = report["settings"]
    generalists = settings["generalists"]
    merged = [model for _, model in results.by_alpha(settings["alphas"]) if model not in generalists]
    start = {row["name"]: row["start"] for row in report["models"]}
    confidence = settings["confidence"]
    level = f"{100 * confidence:g} %"

    text: list[str] = []
    if settings["ladder"]:
        text += [f"Specialist: avg@k in % with {level} interval, paired difference to the start in points"]
        against = {name: [start[name]] for name in settings["ladder"]}
        text += _blocks(report, against, ["difference"], start)
    arms = [(row["a"], row["b"]) for row in report["pairs"] if start[row["a"]] and start[row["a"]] == start[row["b"]]]
    if arms:
        text += ["", "Arms with the same start"]
    for a, b in dict.fromkeys(arms):
        by_benchmark = {row["benchmark"]: row for row in report["pairs"] if (row["a"], row["b"]) == (a, b)}
        changes = [f"{name} {_change(by_benchmark[key], confidence).rstrip()}" for key, name in columns(report)]
        text.append(f"{a} against {b}: {', '.join(changes)}")
    if generalists:
        text += ["", f"Generalist: avg@k in % with {level} interval, paired differences to both ends in points"]
        text += _blocks(report, {name: generalists for name in generalists + merged}, [f"to {b}" for b in generalists])
    if soup := settings.get("soup"):
        others = soup["models"]
        text += ["", f"Averages of {', '.join(others)}, their shares in this order, paired differences in points"]
        text += _blocks(report, {name: others for name in soup["made"]}, [f"to {name}" for name in others])
    if models := settings.get("models"):
        text += ["", f"Models: avg@k in % with {level} interval, paired differences in points"]
        others = models[:-1]
        head = [*(f"to {name}" for name in others), *ENDINGS.values()]
        text += _blocks(report, {name: others for name in models}, head, endings=ENDINGS)
    if control := twins(settings):
        text += ["", "Generalist against the one that learned from its own traces, at the same alpha"]
        text += _blocks(report, {other: [model] for model, other in control}, ["to own traces"])
    if extra := settings.get("extra_evaluations"):
        text += ["", "Extra evaluations of the same models"]
        text += _blocks(report, {name: [results.evaluated_model(name)] for name in extra}, ["to the model"])
        text += ["", *(f"{name}: {changes}" for name, changes in extra.items())]
    trained = " One training each." if settings["ladder"] or generalists else ""
    text += ["", f"* higher or lower after correction; without it no difference was shown.{trained}"]
    return text[1:] if text[0] == "" else text


def _blocks(
    report: dict[str, Any],
    against: dict[str, list[str | None]],
    head: Sequence[str],
    start: dict[str, str | None] | None = None,
    endings: Iterable[str] = (),
) -> list[str]:
    """A table per benchmark. against: model -> what it is compared with; start: adds that column; endings: shares of
    responses that follow, in %.
    """
    score = {(row["name"], row["benchmark"]): row for row in report["models"]}
    pair = {(row["a"], row["b"], row["benchmark"]): row for row in report["pairs"]}
    text, confidence = [], report["settings"]["confidence"]
    for benchmark, name in columns(report):
        first = score[next(iter(against)), benchmark]
        size = f"{first['n']} questions x {first['k']}" if first["k"] else "over the benchmarks"
        rows = [["model", *(["start"] if start else []), "score", *head]]
        for model, others in against.items():
            cells = [model, *([start[model] or NONE] if start else []), _score(score[model, benchmark])]
            cells += [_change(pair.get((model, other, benchmark)), confidence) for other in others]
            rows.append(cells + [results.percent(score[model, benchmark][ending]) for ending in endings])
        text += ["", f"{name}: {size}", *table(rows)]
    return text


def _score(row: dict[str, Any]) -> str:
    return f"{results.percent(row['avg'])} {results.span(row['interval'])}"


def _change(row: dict[str, Any] | None, confidence: float) -> str:
    if row is None:
        return NONE
    mark = " " if results.verdict(row, confidence) == "no difference shown" else "*"
    return f"{results.points(row['difference'])} {results.span(row['interval'], results.points)}{mark}"
