"""The card of the generalist's training data: what was dropped and why, lengths, repetition, one example with its
mask.
"""

from collections.abc import Mapping, Sequence

from polaris.charts import charts
from polaris.charts.charts import Row
from polaris.charts.figure_page import figure_page

MEANING = {
    "truncated": "Cut at the length limit of the generation.",
    "no_think": "It has no </think>: thought and answer cannot be separated.",
    "duplicate": "The same response to the same prompt occurred before.",
    "contaminated": "The prompt or a response to it holds a long run of a benchmark problem's words, or all of a "
    "short one.",
    "special_token": "It holds a token that begins or ends a turn.",
    "too_long": "Prompt and trace are longer than max_tokens.",
    "not_reproduced": "Decoding its tokens does not give the exact text.",
    "repetitive": "More than max_repeated of its runs of repeated_ngram tokens had occurred in it before.",
}
TENTHS = 10


def traces_card(
    responses: int,
    dropped: Mapping[str, int],
    lengths: Mapping[str, int],
    repeated: Sequence[float],
    example: Sequence[tuple[str, int, str]],
    note: str,
) -> str:
    """The page as HTML.

    responses: how many were read; dropped: reason -> responses; lengths: class -> examples; repeated: share in [0, 1]
    of repeated runs of each measured trace; example: (loss or not, number of tokens, their text) in order
    """
    kept = responses - sum(dropped.values())
    tenths = [min(int(share * TENTHS), TENTHS - 1) for share in repeated]
    columns = [tenths.count(place) for place in range(TENTHS)]
    figures = [
        (
            "Lengths",
            charts.column_chart(
                [name.removeprefix("<=") for name in lengths], [("kept", 0, list(lengths.values()))],
                "Examples by their number of tokens", "tokens of prompt and trace, at most",
            ),
            "Each class is twice as long as the one before.",
        ),
        (
            "Repetition",
            charts.column_chart(
                [f"{place / TENTHS:g}" for place in range(TENTHS)], [("measured", 0, columns)],
                "Traces by their share of repeated runs", "share of repeated runs, at least",
            ),
            "Looping traces are at the right; max_repeated drops them.",
        ),
    ]  # fmt: skip
    if dropped:
        bars = [Row(name.replace("_", " "), count, f"{count:,}", tone=1) for name, count in dropped.items()]
        drawn = charts.bar_chart(bars, "Dropped traces by reason")
        figures.insert(0, ("Dropped", drawn, "A trace has one reason, the first that holds."))
    meanings = [f"{name.replace('_', ' ')}: {MEANING.get(name, 'The final answer is not right.')}" for name in dropped]
    return figure_page(
        "Traces for the generalist",
        [f"{responses:,} traces were read, {responses - kept:,} dropped, {kept:,} kept."],
        figures,
        [("loss", "tokens", "text"), *((loss, f"{count:,}", text) for loss, count, text in example)],
        ["The table is the first example as the student reads it, decoded from its tokens.", note, *meanings],
    )
