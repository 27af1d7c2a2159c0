"""Tables as lines of text, for a terminal."""

from collections.abc import Sequence

NONE = "–"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their longest cell, a rule under the head."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    text = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [text[0], "  ".join("-" * width for width in widths), *text[1:]]
