"""The card of a released model, in Hugging Face's format: what it is, how it was made, what was measured, its
limits.
"""

import json
from collections.abc import Sequence
from typing import Any

from polaris.evaluation import results
from polaris.report.markdown_text import NONE, escaped, table, with_interval
from polaris.report.page_charts import columns

FETCHED = "polaris.models.fetch_model"


def model_card(report: dict[str, Any], model: str, title: str, head: dict[str, Any], generate: dict[str, Any]) -> str:
    """README.md of a model folder.

    report: results.json; model: its name there; title: of the page; head: values of the YAML header (license, base
        model, ...); generate: settings of the evaluation's responses. The caller refuses a model without a score.
    """
    # JSON is YAML, and quotes every text.
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---"]
    lines += ["", f"# {escaped(title)}", ""]
    lines += [_made(report, model), "", "## Scores", "", _scores(report, model), "", _reading(report, model), ""]
    lines += ["## How to ask it", "", *_asking(generate), ""]
    lines += ["## Data", "", *(_data(report) or ["None of its own."]), "", "## Limits", "", *_limits(report), ""]
    lines += ["## Made with", "", _tools(report, model)]
    return "\n".join(lines) + "\n"


def _asking(generate: dict[str, Any]) -> list[str]:
    """The prompt and the sampling. JSON keeps the instruction's line breaks, and an indented block holds no markup."""
    sampling = {name: value for name, value in generate["sampling"].items() if name != "seed"}
    if instruction := generate["instruction"]:
        appended = [
            "This text is appended to the problem (a JSON string):",
            "",
            f"    {json.dumps(instruction, ensure_ascii=False)}",
        ]
    else:
        appended = ["Nothing is added to the problem."]
    for name, own in generate.get("instructions", {}).items():
        appended += ["", f"On {escaped(name)} it is this instead:", "", f"    {json.dumps(own, ensure_ascii=False)}"]
    lines = ["The scores are of this prompt and this sampling, by the model's own chat template.", "", *appended, ""]
    return [
        *lines,
        table(["setting", "value"], [[key.replace("_", " "), str(value)] for key, value in sampling.items()]),
    ]


def _made(report: dict[str, Any], model: str) -> str:
    """The chain of trainings, or the average, in a sentence."""
    rows = {row["name"]: row for row in report["checkpoints"]}
    row = _lineage(report, model)
    if row["stage"].startswith("models/") or row["module"] == FETCHED:
        return f"Evaluated in run {escaped(report['run'])} as it came: that run did not train it."
    if "/" in row["stage"]:
        (base, distilled), alpha = row["inputs"], row["stage"].rpartition("=")[2]
        return (
            f"The average {alpha} · {escaped(base)} + (1 − {alpha}) · {escaped(distilled)} of two models' weights, of "
            f"run {escaped(report['run'])}."
        )
    chain = [model]
    while start := rows[chain[-1]]["start"]:
        chain.append(start)
    steps = lambda name: f" ({rows[name]['steps']} steps)" if rows[name]["steps"] is not None else ""
    chained = escaped(" → ".join(name + steps(name) for name in reversed(chain)))
    return f"Trained in run {escaped(report['run'])}: {chained}."


def _scores(report: dict[str, Any], model: str) -> str:
    shown = dict(columns(report))
    start = next(row["start"] for row in report["checkpoints"] if row["name"] == model)
    pairs = {(row["b"], row["benchmark"]): row for row in report["pairs"] if row["a"] == model}
    rivals = [b for b in dict.fromkeys(b for b, _ in pairs) if start in (None, b)]
    return table(
        ["benchmark", "questions x k", "avg@k", *(f"to {name}" for name in rivals)],
        [
            [shown[row["benchmark"]]]
            + [f"{row['n']} x {row['k']}" if row["k"] else str(row["n"])]
            + [with_interval(row["avg"], row["interval"])]
            + [_change(pairs.get((name, row["benchmark"])), report) for name in rivals]
            for row in report["models"]
            if row["name"] == model and row["benchmark"] in shown
        ],
    )


def _change(pair: dict[str, Any] | None, report: dict[str, Any]) -> str:
    if pair is None:
        return NONE
    words = with_interval(pair["difference"], pair["interval"], results.points)
    return f"{words}, {results.verdict(pair, report['settings']['confidence'])}"


def _reading(report: dict[str, Any], model: str) -> str:
    text = (
        f"Percent with {100 * report['settings']['confidence']:g} % intervals over questions and samples; differences "
        "in points, paired by question, their p-values corrected (Holm). One training: other seeds are in no interval."
    )
    if report["choice"]["model"] == model and report["choice"]["on_reported"]:
        text += " **Its alpha was chosen on these scores, so they are overestimated.**"
    elif report["choice"]["model"] == model:
        text += (
            f" Its alpha was chosen on {escaped(' and '.join(report['choice']['select_on']))}, no part of this table."
        )
    return text


def _data(report: dict[str, Any]) -> list[str]:
    """What the run's sets kept, as far as they count it."""
    rows = [(row["stage"], row["metrics"].get("kept")) for row in report["data"]]
    return [f"- {escaped(stage)}: {kept:,} kept" for stage, kept in rows if isinstance(kept, int)]


def _limits(report: dict[str, Any]) -> Sequence[str]:
    return [
        f"- Only {escaped(', '.join(report['headline']))} was measured: no other task, language or length, no safety.",
        "- A right final answer does not say that the reasoning before it is sound.",
        "- Training and evaluation share the way of asking; another prompt may cost accuracy.",
    ]


def _tools(report: dict[str, Any], model: str) -> str:
    row = _lineage(report, model)
    tools = escaped(", ".join(f"{name} {version}" for name, version in row["tools"].items()))
    return (
        f"`{row['module']}` of polaris; {tools}. Settings {row['settings']}, code {row['code']}, weights "
        f"{row['content']}."
    )


def _lineage(report: dict[str, Any], model: str) -> dict[str, Any]:
    """The model's row of `lineage`."""
    stage = next(row["stage"] for row in report["checkpoints"] if row["name"] == model)
    return next(row for row in report["lineage"] if row["stage"] == stage)
