"""The cards of the specialist's data sets: what a stage kept and why, for people. The difficulty's is in
build_rl_data.py.

Legend: _P problem or example.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from polaris.charts import charts
from polaris.charts.charts import Row
from polaris.charts.figure_page import figure_page

BINS = 10  # columns of a histogram of shares
COLUMNS = 7  # of a histogram of counts, at most
EXAMPLES = 5  # shown answers
SHOWN = 1000  # characters of each

Group = tuple[str, int, Sequence[int]]  # name, tone and counts, as charts.column_chart takes them


def format_card(
    name: str, rows_P: Sequence[Mapping[str, Any]], result_counts_P: Sequence[int], dropped: Mapping[str, int]
) -> str:
    """The page of the worked answers that are kept.

    rows_P: rows of records.MESSAGES; result_counts_P: distinct underlined results of each; dropped: reason -> answers
    """
    lead = [
        (
            f"{len(rows_P):,} worked answers are kept, {sum(dropped.values()):,} dropped; "
            f"{statistics.fmean(result_counts_P):.1f} distinct underlined results each in the mean."
        )
    ]
    wide = -(-(max(result_counts_P) + 1) // COLUMNS)  # results of a column
    starts = range(0, max(result_counts_P) + 1, wide)
    labels = [str(start) if wide == 1 else f"{start}-{start + wide - 1}" for start in starts]
    counts = [sum(start <= n < start + wide for n in result_counts_P) for start in starts]
    drawn = charts.column_chart(labels, [("answers", 0, counts)], "Underlined results", "distinct results of an answer")
    figures = [("Underlined results", drawn, "What the model is taught to write: answers without any teach it not to.")]
    table = [("problem", "question", "answer")]
    table += [
        (row["problem_id"], *(message["content"][:SHOWN] for message in row["messages"][-2:]))
        for row in rows_P[:EXAMPLES]
    ]
    return figure_page(
        f"Format data: {name}", lead, [*_reasons(dropped), *figures], table, ["The table has the first answers."]
    )


def overlap_card(
    name: str, table_P: Sequence[Mapping[str, Any]], dropped: Mapping[str, int], bound: float | None
) -> str:
    """The overlap filter. table_P: rows of overlap.parquet; bound: the overlap at which the filter cuts, if there is
    one
    """
    measured = [row for row in table_P if row["overlap"] is not None]
    lead = [
        f"{sum(row['kept'] for row in table_P):,} of {len(table_P):,} problems are kept"
        + (f"; the filter cuts at an overlap of {bound:.3f}." if bound is not None else ".")
    ]
    overlaps = _read_and_kept(measured, lambda row: row["overlap"])
    right = _read_and_kept(table_P, lambda row: row["correct"] / row["k"])
    figures = [
        ("Overlap",
         charts.column_chart(_shares(), overlaps, "Overlap", "mean Jaccard overlap of right with wrong responses"),
         f"Of the {len(measured):,} problems with right and wrong responses."),
        ("Difficulty", charts.column_chart(_shares(), right, "Difficulty", "share of right responses"),
         ("If the kept problems are easier or harder than those read, a gain may be theirs; within: accuracy keeps "
         "them equal.")),
    ]  # fmt: skip
    return figure_page(f"Overlap filter: {name}", lead, [*_reasons(dropped), *figures], _columns(overlaps, right), [])


def ease_card(name: str, ease_P: Sequence[Mapping[str, Any]], above: float) -> str:
    """Which problems an earlier RL stage solves. ease_P: rows of ease.parquet; above: the accuracy that is too easy"""
    visited = [row for row in ease_P if row["logged"] is not None]
    logged = _read_and_kept(visited, lambda row: row["logged"])
    offline = _read_and_kept(ease_P, lambda row: row["offline"])
    lead = [
        (
            f"{sum(row['kept'] for row in ease_P):,} of {len(ease_P):,} problems are kept; {len(visited):,} were "
            f"visited. Above {above:g} is too easy."
        )
    ]
    figures = [
        ("In the training", charts.column_chart(_shares(), logged, "In the training", "accuracy, by the accuracy log"),
         "Of visited problems."),
        ("Before", charts.column_chart(_shares(), offline, "Before", "accuracy, by the difficulty rollouts"),
         "Of all; it decides for problems that were not visited."),
    ]  # fmt: skip
    return figure_page(f"Easy problems dropped: {name}", lead, figures, _columns(logged, offline), [])


def _reasons(dropped: Mapping[str, int]) -> list[tuple[str, str, str]]:
    if not dropped:
        return []
    bars = [Row(reason.replace("_", " "), count, f"{count:,}", tone=1) for reason, count in dropped.items()]
    return [("Dropped", charts.bar_chart(bars, "Dropped by reason"), "Each for one reason, the first that holds.")]


def _read_and_kept(rows: Sequence[Mapping[str, Any]], share: Callable[[Mapping[str, Any]], float]) -> list[Group]:
    """A share of each row, of all and of the kept ones."""
    kept = [row for row in rows if row["kept"]]
    return [("read", 3, _binned([*map(share, rows)])), ("kept", 0, _binned([*map(share, kept)]))]


def _binned(shares: Sequence[float]) -> list[int]:
    """How many lie in [0, .1), ..., [.9, 1]."""
    places = [min(BINS - 1, int(BINS * share + 1e-9)) for share in shares]
    return [places.count(place) for place in range(BINS)]


def _shares() -> list[str]:
    return [f"{place / BINS:.1f}" for place in range(BINS)]


def _columns(*pairs: Sequence[Group]) -> list[tuple[str, ...]]:
    """The pictures' counts as a table, a row for each column of theirs."""
    head = (
        "from",
        *(
            f"{name}, {which} picture"
            for which, pair in zip(("first", "second"), pairs, strict=True)
            for name, _, _ in pair
        ),
    )
    counts = [column for pair in pairs for _, _, column in pair]
    return [head, *zip(_shares(), *([f"{n:,}" for n in column] for column in counts), strict=True)]
