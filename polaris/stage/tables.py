"""Tables as lines of text, for a terminal."""

from collections.abc import Sequence

from polaris.stage.terminal import printable

NONE = "–"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their longest cell, a rule under the head; a line end in a cell is shown as an escape."""
    rows = [[printable(cell).replace("\n", "\\n") for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    text = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [text[0], "  ".join("-" * width for width in widths), *text[1:]]
