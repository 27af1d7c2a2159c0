"""A small self-contained HTML page beside the report: a heading, pictures with captions, one table."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from polaris.charts.charts import CLASSES, COLOURS

LONG = 48  # characters of a cell that is broken into lines
LAYOUT = """body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 36px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } p { max-width: 46em; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); gap: 24px 32px; }
figure { margin: 0; max-width: 420px; min-width: 0; } figcaption { font-size: 14px; }
figcaption b { display: block; } figcaption, .note { color: var(--quiet); } figcaption b { color: var(--ink); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--rule); }
td { vertical-align: top; } .long { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 22em; }
"""
STYLE = COLOURS + LAYOUT + CLASSES  # report.html gives the classes the same colours


def figure_page(
    title: str,
    lead: Sequence[str],
    figures: Sequence[tuple[str, str, str]],
    table: Sequence[Sequence[str]],
    notes: Sequence[str],
) -> str:
    """The page as text; all words are escaped.

    lead, notes: paragraphs above the pictures and under the table
    figures: (heading, picture of polaris.charts.charts, what it shows and what not); table: its first row is the head
    """
    drawn = "\n".join(
        f"<figure><figcaption><b>{escape(head)}</b></figcaption>{svg}<figcaption>{escape(text)}</figcaption></figure>"
        for head, svg, text in figures
    )
    head, *rows = ("".join(_cell(tag, text) for text in row) for tag, row in _tagged(table))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{_paragraphs(lead)}
<div class="figures">
{drawn}
</div>
<div class="scroll" tabindex="0" role="region" aria-label="The numbers"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{"".join(f"<tr>{row}</tr>" for row in rows)}
</tbody>
</table></div>
{_paragraphs(notes, ' class="note"')}
</main>
</body>
</html>
"""


def _tagged(table: Sequence[Sequence[str]]) -> list[tuple[str, Sequence[str]]]:
    return [("th", table[0]), *(("td", row) for row in table[1:])]


def _cell(tag: str, text: str) -> str:
    kind = ' class="long"' if len(text) > LONG else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"


def _paragraphs(texts: Sequence[str], kind: str = "") -> str:
    return "\n".join(f"<p{kind}>{escape(text)}</p>" for text in texts)
