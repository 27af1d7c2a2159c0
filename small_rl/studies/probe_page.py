"""The probe for people: a page, and one line."""

from typing import Any

from polaris.charts import charts
from polaris.charts.charts import Row
from polaris.charts.figure_page import figure_page

NAMES = {"with_answer": "All results", "without_answer": "Without the final answer", "judge": "Judge's score"}
WORD = "{:.3g}".format


def page(numbers: dict[str, Any]) -> str:
    """The numbers of probe.json as pictures and one table."""
    figures, table = [], [["measure", "class", "problem mean", "pooled", "problems", "pairs", "of them empty"]]
    text = "A dot is the mean over problems of the problem's mean over its pairs; the line its "
    text += f"{100 * numbers['confidence']:g} % interval over problems."
    for key, name in NAMES.items():
        if not numbers[key]:
            continue
        rows = numbers[key]["classes"]
        drawn = [
            Row(row["class"], row["mean"], _amount(row, "mean"), *(row["mean_interval"] or (None, None)), tone=tone)
            for tone, row in enumerate(rows)
            if row["mean"] is not None
        ]
        if drawn:
            figures.append((name, charts.interval_chart(drawn, name, WORD, zero=True), text))
        for row in rows:
            counts = [f"{row[part]:,}" for part in ("problems", "pairs", "empty_pairs")]
            table.append([name, row["class"], _amount(row, "mean"), _amount(row, "pooled"), *counts])
        for row in numbers[key]["differences"]:
            difference = [f"{row['a']} − {row['b']}", _amount(row, "difference"), "", f"{row['problems']:,}", "", ""]
            table.append([name, *difference])
    lead = [
        (
            f"{numbers['problems']:,} problems, {numbers['rollouts']:,} trajectories, "
            f"{100 * numbers['accuracy']:.1f} % right, {numbers['rollouts_without_steps']:,} without an underlined "
            f"result; {numbers['answer_steps']:,} underlined results state a final answer."
        )
    ]
    notes = [
        (
            "Similarity is the Jaccard overlap of two sets of underlined results, 0 to 1. A pair of two empty sets "
            "counts as 0 in the overlap; the last column says how many there were. The judge is not asked about a "
            "pair with an empty set."
        ),
        (
            "The classes are not of the same problems: hard ones have few right pairs, easy ones few wrong pairs. A "
            "difference (−) is over the problems that have both classes, and is the number to read."
        ),
        "Similar results are no proof of similar reasoning, and none of its correctness.",
    ]
    return figure_page("Probe: similarity of right and wrong trajectories", lead, figures, table, notes)


def _amount(row: dict[str, Any], key: str) -> str:
    if row[key] is None:
        return "–"
    interval = row[f"{key}_interval"]
    return f"{row[key]:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def summary(numbers: dict[str, Any]) -> str:
    """One line for people."""
    words = [f"{row['class']} {_amount(row, 'mean')}" for row in numbers["without_answer"]["classes"]]
    return f"similarity without the final answer: {', '.join(words)}"
