"""The card of a cleaned training set: where it comes from, why problems were dropped, and what stayed."""

import collections
import json
from collections.abc import Mapping, Sequence
from typing import Any

from polaris.charts import charts
from polaris.charts.charts import Row
from polaris.charts.figure_page import figure_page
from polaris.grading.answers import normal_form, plain_number

EXAMPLES = 5  # dropped problems that are shown of each reason
SHOWN = 300  # characters of a problem's text
MEANING = {
    "no_gold": "The source has no answer, so nothing can be graded.",
    "prose_gold": "The answer is a sentence, which no response repeats.",
    "unparseable_gold": "The grader cannot read the answer, or does not take it for itself.",
    "too_long": "The text is longer than max_characters.",
    "proof": "A proof is asked for, and nothing else.",
    "multiple_choice": "The answer is one of given choices, which guessing finds.",
    "multi_part": "Two questions or more, of which one answer says little.",
    "duplicate": "The same text is there before, but for case, blanks and punctuation.",
    "near_duplicate": "Nearly the same words are there before, and no other answer.",
    "contaminated": "A benchmark's problem stands in it, or a long run of its words.",
}


def cleaning_card(
    name: str,
    source: Mapping[str, Any],
    problems: Sequence[Mapping[str, Any]],
    dropped: Sequence[Mapping[str, Any]],
    benchmarks: Mapping[str, Mapping[str, Any]],
) -> str:
    """The page of one set.

    source: settings of the stage that read it; problems: rows of records.PROBLEMS, all of them; dropped: rows of
    clean_problems.DROPPED; benchmarks: name -> problems by id
    """
    reason = {row["id"]: row["reason"] for row in dropped}
    kept = [row for row in problems if row["id"] not in reason]
    counts = collections.Counter(reason.values()).most_common()
    settings_text = "; ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in source.items()
    )
    held = ", ".join(f"{name} ({len(rows)} problems)" for name, rows in benchmarks.items()) or "none"
    lead = [
        f"{len(problems):,} problems were read, {len(dropped):,} dropped, {len(kept):,} kept. Held out: {held}.",
        f"Source: {settings_text}.",
    ]
    figures = [_lengths(problems, kept), _kinds(problems, kept)]
    if counts:
        bars = [Row(name.replace("_", " "), count, f"{count:,}", tone=1) for name, count in counts]
        drawn = charts.bar_chart(bars, "Dropped problems by reason")
        figures.insert(0, ("Dropped", drawn, "A problem has one reason, the first that holds."))
    notes = [f"The table has the first {EXAMPLES} of each reason, dropped.parquet all. Look here for false alarms."]
    notes += [f"{name.replace('_', ' ')}: {MEANING[name]}" for name, _ in counts]
    return figure_page(f"Training set {name}", lead, figures, _examples(problems, dropped), notes)


def _examples(problems: Sequence[Mapping[str, Any]], dropped: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    text = {row["id"]: row["problem"] for row in problems}
    shown: dict[str, list[Mapping[str, Any]]] = collections.defaultdict(list)
    for row in dropped:
        shown[row["reason"]].append(row)
    rows = [
        (row["id"], why.replace("_", " "), row["other"] or "–", row["evidence"] or "–", text[row["id"]][:SHOWN])
        for why, those in shown.items()
        for row in those[:EXAMPLES]
    ]
    return [("id", "reason", "other problem", "evidence", "problem"), *rows]


def _lengths(problems: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    before, after = (
        collections.Counter((len(row["problem"].split()) - 1).bit_length() for row in rows) for rows in (problems, kept)
    )
    bins = range(min(before), max(before) + 1)
    drawn = charts.column_chart(
        [str(1 << place) for place in bins],
        [("read", 3, [before[place] for place in bins]), ("kept", 0, [after[place] for place in bins])],
        "Problems by their number of words",
        "words, at most",
    )
    return "Lengths", drawn, "Words of a problem, in classes of twice the length."


def kind(golds: Sequence[str]) -> str:
    """What an answer is, as far as its text tells."""
    if not golds:
        return "none"
    if len(golds) > 1:
        return "one of several"
    form = normal_form(golds[0])
    number = plain_number(form)
    if number is not None:
        return "integer" if number.denominator == 1 else "fraction or decimal"
    if form.isalpha():
        return "letter" if len(form) == 1 else "word"
    return "expression"


def _kinds(problems: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    before, after = (collections.Counter(kind(row["answers"]) for row in rows) for rows in (problems, kept))
    bars = [Row(name, after[name], f"{after[name]:,} of {count:,}") for name, count in before.most_common()]
    drawn = charts.bar_chart(bars, "Gold answers by kind")
    return "Answers", drawn, "What the gold answers are: how many stay of how many were read."
