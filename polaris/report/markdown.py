"""results.json as Markdown: the tables of the page, for a pull request or a terminal."""

from collections.abc import Sequence
from typing import Any

from polaris.evaluation import results
from polaris.evaluation.response_rows import ALL
from polaris.report import markdown_evaluations as evaluations
from polaris.report import paid
from polaris.report.markdown_text import NONE, escaped, table, with_interval
from polaris.report.page import concluded, measured, trained
from polaris.report.page_charts import columns, with_selection

ONE_TRAINING = "One training each: other seeds are in no interval."
NO_TRAINING = "Nothing was trained in this run."
ENDINGS = "Truncated at the length limit, without an answer, ungraded: percent of the responses."
PAIRED = "Paired by question. p: permutation test, alone and corrected (Holm) for its family on the benchmark."
CONTROLS = (
    "A control has the model's own settings but for the claim's method; the settings in the manifests decide. p is "
    "corrected for all claims of the table on the benchmark. Each conclusion is about these trainings: one of each."
)
DETECTABLE = (
    "Minimum detectable effect: the smallest true difference, in points, that is shown in "
    f"{100 * results.POWER:g} % of evaluations. Shown: the interval excludes 0, and the corrected p is small enough."
)


def markdown(report: dict[str, Any]) -> str:
    """results.json as Markdown."""
    settings = report["settings"]
    soup = settings.get("soup")
    parts = [
        f"# Run {escaped(report['run'])}",
        f"avg@k and shares in percent, differences in points, with {100 * settings['confidence']:g} % interval. "
        + (ONE_TRAINING if trained(report) else NO_TRAINING),
        *_claims(report),
        "## Scores",
        _scores(report),
        f"{ENDINGS}{_dates(settings['dates'])}",
        *_differences(report),
        *evaluations.front(report),
        *evaluations.dates(report),
        *evaluations.extra(report),
        *_choice("Alpha", report["choice"]),
        *(_choice(f"Shares of {', '.join(soup['models'])}:", report["soup_choice"]) if soup else []),
        *evaluations.published(report),
        "## Responses",
        _measures(report),
        "## Accuracy by length of the response, in tokens",
        _lengths(report),
        "Each model's own responses are grouped: a column does not compare models.",
        *_hardest(report),
        *paid.markdown(report),
        *_warnings(report["warnings"]),
        *_planned(report),
        *_examples(report["examples"]),
    ]
    return "\n\n".join(parts) + "\n"


def _dates(dates: dict[str, str]) -> str:
    published = ", ".join(f"{name} {when}" for name, when in dates.items())
    return f" Published: {escaped(published)}; what was trained later may have seen it." if published else ""


def _warnings(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the alarms of the RL stages said."""
    said = [f"- {escaped(row['stage'])}, {escaped(row['text'])}" for row in rows]
    return ["## Warnings while it trained", "\n".join(said)] if said else []


def _scores(report: dict[str, Any]) -> str:
    shown = dict(with_selection(report))
    head = ["benchmark", "questions x k", "avg@k", "truncated", "no answer", "ungraded", "tokens"]
    started = trained(report)
    return table(
        ["model", *(["start"] if started else []), *head],
        [
            [row["name"], *([row["start"] or NONE] if started else []), shown[row["benchmark"]]]
            + [f"{row['n']} x {row['k']}" if row["k"] else str(row["n"]), with_interval(row["avg"], row["interval"])]
            + [results.percent(row[key]) for key in ("truncated", "no_answer", "ungraded")]
            + [f"{row['tokens']:,.0f}"]
            for row in report["models"]
            if row["benchmark"] in shown
        ],
    )


def _differences(report: dict[str, Any]) -> list[str]:
    if not report["pairs"]:
        return []
    shown, confidence = dict(with_selection(report)), report["settings"]["confidence"]
    head = ["family", "difference", "benchmark", "points", "p", "p, Holm", "minimum detectable effect", "verdict"]
    rows = [
        [row["family"], f"{row['a']} − {row['b']}", shown[row["benchmark"]]]
        + [with_interval(row["difference"], row["interval"], results.points)]
        + [results.p_word(row["p"]), results.p_word(row["p_holm"])]
        + [results.percent(row["detectable"]) if row["detectable"] else NONE, results.verdict(row, confidence)]
        for row in report["pairs"]
        if row["benchmark"] in shown
    ]
    return ["## Differences", table(head, rows), f"{PAIRED} {DETECTABLE}"]


def _claims(report: dict[str, Any]) -> list[str]:
    head, rows = ["claim", "model", "control", "what the control is", "points", "p, Holm", "conclusion"], []
    for row in report["claims"]:
        shown = [(title, row["differences"][name]) for name, title in columns(report)] if row["b"] else []
        changes = [f"{title} {with_interval(d['difference'], d['interval'], results.points)}" for title, d in shown]
        p = [f"{title} {results.p_word(d['p_holm'])}" for title, d in shown]
        cells = [
            row["about"],
            row["a"],
            row["b"] or "none",
            row["explanation"],
            "; ".join(changes) or NONE,
            "; ".join(p) or NONE,
        ]
        rows.append([*cells, concluded(row, report)])
    if not rows:
        return []
    return [
        "## What was shown, and against which control",
        table(head, rows),
        CONTROLS,
    ]


def _choice(what: str, choice: dict[str, Any]) -> list[str]:
    if choice["model"] is None:
        return []
    chosen = escaped(f"{what} {choice['selected'] or choice['best']}")
    if choice["on_reported"]:
        return [f"**{chosen} was chosen on a reported set**: its scores here are overestimated."]
    apart = escaped(" and ".join(choice["select_on"]))
    return [f"{chosen} was chosen on {apart} (highest there: {escaped(choice['best'])})."]


def _planned(report: dict[str, Any]) -> list[str]:
    if not report["planned"]:
        return []
    head = [
        "stage",
        "jobs",
        *(f"{what} {when}" for what in ("hours", "GPU hours", "GB") for when in ("planned", "measured")),
    ]
    rows = []
    for row in report["planned"]:
        cells = [row["stage"], f"{row['jobs']['measured']} of {row['jobs']['planned']}"]
        for key in ("hours", "gpu_hours"):
            cells += [
                "{:.2f} to {:.2f}".format(*row[key]["planned"]) if row[key]["planned"] else NONE,
                _number(row[key]["measured"]),
            ]
        rows.append([*cells, *(_number(row["bytes"][when], 1e9) for when in ("planned", "measured"))])
    gpu = report["settings"]["planned"]["gpu"]
    return [
        "## Planned and measured",
        table(head, rows),
        f"Planned for {escaped(gpu)} GPUs before the run; wall time of all jobs.",
    ]


def _number(value: float | None, unit: float = 1.0) -> str:
    return NONE if value is None else f"{value / unit:.2f}"


def _measures(report: dict[str, Any]) -> str:
    rows = [row for row in report["measures"] if row["benchmark"] in report["headline"]]
    kinds = list(dict.fromkeys(row["measure"] for row in rows))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        cells.setdefault((row["name"], row["benchmark"]), {})[row["measure"]] = _measure(row, report)
    head = ["model", "benchmark", *(kind.replace("_", " ") for kind in kinds)]
    return table(head, [[*key, *(measure.get(kind, NONE) for kind in kinds)] for key, measure in cells.items()])


def _measure(row: dict[str, Any], report: dict[str, Any]) -> str:
    (problems,) = {score["n"] for score in report["models"] if score["benchmark"] == row["benchmark"]}
    return " ".join(measured(row)) + (f" of {row['n']} problems" if row["n"] < problems else "")


def _lengths(report: dict[str, Any]) -> str:
    rows = [row for row in report["lengths"] if row["benchmark"] in report["headline"]]
    return table(
        ["model", "benchmark", "tokens", "share of responses", "accuracy"],
        [
            [row["name"], row["benchmark"], row["group"], results.percent(row["share"])]
            + [NONE if row["value"] is None else with_interval(row["value"], row["interval"])]
            for row in rows
        ],
    )


def _hardest(report: dict[str, Any]) -> list[str]:
    if not report["hardest"]:
        return []
    rows = [
        [pool["pool"], row["name"], row["samples"], with_interval(row["value"], row["interval"])]
        + (
            [with_interval(row["difference"], row["difference_interval"], results.points), results.p_word(row["p"])]
            if row["samples"] == ALL
            else [NONE, NONE]
        )
        for pool in report["hardest"]
        for row in pool["rows"]
    ]
    base = escaped(report["hardest"][0]["rows"][0]["name"])
    return [
        f"## The {report['settings']['worst_k']} hardest problems of {base}",
        table(["pool", "model", "samples", "avg@k", "to the base's other samples", "p"], rows),
        "Every second sample of the base chose the problems; its score in those samples is low partly by bad luck "
        "(regression " + "to the mean) and compares with nothing.",
    ]


def _examples(examples: Sequence[dict[str, Any]]) -> list[str]:
    if not examples:
        return []
    parts = ["## Responses to read", "The first response of each of the most common verdicts; no sample to count in."]
    for row in examples:
        verdict = f"{'right' if row['correct'] else 'wrong'}, {row['reason']} ({row['count']} of {row['of']})"
        read = NONE if row["answer"] is None else row["answer"]
        golds = " or ".join(row["golds"])
        parts += [
            f"### {escaped(row['name'])} on {escaped(row['benchmark'])}: {escaped(verdict)}",
            f"Problem {escaped(row['problem_id'])}, response {row['sample']}; accepted: {escaped(golds)}; "
            + f"read: {escaped(read)}; {row['tokens']} tokens.",
            _indented(row["problem"]),
            "The response:",
            _indented(row["response"]),
        ]
    return parts


def _indented(text: str) -> str:
    """A text as a block of code, which shows it as it is."""
    lines = ("".join(letter if letter.isprintable() else " " for letter in line) for line in text.splitlines())
    return "\n".join(f"    {line}" for line in lines) or "    (empty)"
