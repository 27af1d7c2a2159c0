"""What CORE paid for: the section of an RL stage's rewards, from the paid.json of its rollout store.

small_rl/studies/paid.py says what each number is. Here are its pictures, its table and its words.
"""

from collections.abc import Sequence
from typing import Any

from polaris.charts.charts import Line, axis_percent, line_chart, plain
from polaris.report.markdown_text import NONE, escaped, table

HEAD = (
    "reward",
    "groups with signal",
    "of unsolved ones",
    "wrong ones paid",
    "mean of wrong ones",
    "of all that is paid",
    "advantages",
)
SEPARATION = ("steps", "right and right", "right and wrong", "wrong and wrong", "pairs", "sets")
WHAT = (
    "A group has a signal where its rewards differ; an unsolved one has no right response. Paid: responses that earn "
    "anything, what they earn on average, and their share of all that is earned. Advantages: correlation with those "
    "of the training. The first row is the reward that trained; the sets grew again under each of the others, but the "
    "responses are those of this training: what another reward would have trained is not known. Sets of other "
    "problems: a placebo, which pays for nothing."
)
SEPARATES = (
    "Mean overlap of the underlined results of two responses to one prompt, by whether both are right. Pairs: "
    "probability that two right responses overlap more than a right and a wrong one. Sets: that a right response has "
    "more results of the consensus set, as it was before the step, than a wrong one. Both are 50 % where the results "
    "say nothing."
)


def summary(paid: dict[str, Any]) -> str:
    """The first sentence about a stage whose store could be read."""
    recorded, outcome = paid["rewards"][:2]
    return (
        f"{_percent(recorded['signal'])} of the groups had a signal, {_percent(outcome['signal'])} without the process "
        f"reward; {_percent(recorded['paid'])} of the wrong responses were paid, {recorded['process']:.2f} on average, "
        f"which is {_percent(recorded['to_wrong'])} of all that was paid."
    )


def cells(row: dict[str, Any]) -> list[str]:
    """A reward's numbers under HEAD, without its name."""
    shares = [_percent(row[key]) for key in ("signal", "unsolved_signal", "paid")]
    correlation = NONE if row["correlation"] is None else f"{row['correlation']:.3f}"
    return [*shares, f"{row['process']:.3f}", _percent(row["to_wrong"]), correlation]


def separation(paid: dict[str, Any]) -> list[list[str]]:
    """Rows under SEPARATION: quarters of the stage."""
    names = ("correct-correct", "correct-incorrect", "incorrect-incorrect")
    return [
        [f"{row['first']} to {row['last']}", *(NONE if row[name] is None else f"{row[name]:.2f}" for name in names)]
        + [_percent(row[key]) for key in ("pairs", "sets")]
        for row in paid["quarters"]
    ]


def pictures(paid: dict[str, Any]) -> list[tuple[str, str]]:
    """(heading, SVG): signal, what wrong responses earn, and what the results tell, over the steps."""
    if not paid["rewards"]:
        return []
    steps, by_name = paid["steps"], {row["name"]: row for row in paid["rewards"]}
    shown = [by_name[name] for name in ("as recorded", "no process reward") if name in by_name]
    placebo = [by_name[name] for name in ("as recorded", "sets of other problems") if name in by_name]
    signal = [Line(row["name"], steps, row["signal_S"], tone=tone) for tone, row in enumerate(shown)]
    earned = [Line(row["name"], steps, row["process_S"], tone=tone) for tone, row in enumerate(placebo)]
    told = [
        Line(name, *_known(steps, [row[name] for row in paid["separation"]]), tone=tone)
        for tone, name in enumerate(("pairs", "sets"))
    ]
    highest = max(value for line in earned for value in line.y)
    drawn = [
        ("Groups with signal", signal, axis_percent, (0.0, 1.0)),
        ("What a wrong response earns", earned, plain, (min(0.0, *shown[0]["process_S"]), max(highest, 0.1))),
        ("Do the results tell right from wrong?", [line for line in told if line.x], axis_percent, (0.0, 1.0)),
    ]
    return [
        (title, line_chart(lines, f"{paid['stage']}: {title}", "step", word, y_span=span))
        for title, lines, word, span in drawn
        if lines
    ]


def _known(steps: Sequence[float], values: Sequence[float | None]) -> tuple[list[float], list[float]]:
    pairs = [(step, value) for step, value in zip(steps, values, strict=True) if value is not None]
    return [step for step, _ in pairs], [value for _, value in pairs]


def markdown(report: dict[str, Any]) -> list[str]:
    """The section as parts of the report in Markdown."""
    parts = ["## What CORE paid for"] if report["paid"] else []
    for paid in report["paid"]:
        parts += [
            f"### {escaped(paid['stage'])}",
            *map(escaped, paid["missing"]),
        ]
        if paid["rewards"]:
            rewards = table(HEAD, [[row["name"], *cells(row)] for row in paid["rewards"]])
            parts += [summary(paid), rewards, table(SEPARATION, separation(paid))]
    return [*parts, WHAT, SEPARATES] if parts else []


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f} %"
