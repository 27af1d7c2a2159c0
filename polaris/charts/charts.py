"""Pictures of the report as inline SVG: data in, SVG text out.

Every picture is 360 units wide, a phone's column, so that its 12-unit letters stay legible there. Colours and fonts
come from the page through classes (`tone0` ... `tone3`, `grid`, `axis`, `quiet`) and currentColor: one picture for both
themes.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from polaris.charts.pieces import (
    BOTTOM,
    LETTER,
    RIGHT,
    TOP,
    WIDTH,
    Place,
    Word,
    left_margin,
    legend,
    plain,
    scale,
    segment,
    svg_of,
    text_at,
    ticks,
    widened,
    x_labels,
    y_axis,
)

# The colours of both themes, and what they mean to the classes of a picture.
COLOURS = """
:root { --paper: #fcfcfa; --ink: #1e2328; --quiet: #626a73; --rule: #e3e3dd; --faint: #eeeee9;
  --tone0: #27628f; --tone1: #bd5330; --tone2: #4a7c4c; --tone3: #8b929a; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e4e6e8; --quiet: #9da5ae; --rule: #31363c;
  --faint: #262b30; --tone0: #7db4e0; --tone1: #e8926f; --tone2: #8fc28f; --tone3: #7c848d; } }
"""
CLASSES = """.chart { display: block; width: 100%; height: auto; overflow: visible; color: var(--ink); }
.chart text { font-size: 12px; fill: currentColor; } .chart .quiet { fill: var(--quiet); }
.tone0 { --tone: var(--tone0); } .tone1 { --tone: var(--tone1); } .tone2 { --tone: var(--tone2); }
.tone3 { --tone: var(--tone3); } .line { fill: none; stroke: var(--tone); stroke-width: 1.75; }
.whisker { stroke: var(--tone); stroke-width: 2; stroke-linecap: round; opacity: .6; } .bar { fill: var(--tone); }
.dot { fill: var(--tone); stroke: var(--paper); stroke-width: 1.5; } .grid { stroke: var(--rule); }
.axis { stroke: var(--quiet); stroke-width: 1.25; } .back { fill: var(--faint); }
"""


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a line chart. name: for the legend, or ""; low, high: ends of the intervals, empty without."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    tone: int = 0


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a chart of rows: a value, its interval where there is one, and what is written at the right."""

    label: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    tone: int = 0


def line_chart(
    lines: Sequence[Line],
    title: str,
    x_label: str,
    word: Word,
    x_ticks: Sequence[tuple[float, str]] = (),
    y_span: tuple[float, float] | None = None,
    links: Sequence[tuple[float, str, str]] = (),
    warned: Sequence[tuple[float, str]] = (),
) -> str:
    """Lines over a numeric axis, with whiskers where a line has intervals.

    x_ticks: (position, label), chosen here if empty; word: how a y value is written; y_span: to share an axis
    links: (position, address, title), each the part of the picture that is closest to it
    warned: (position, text), an upright line each; a mouse that rests on it shows the text
    """
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for y in (*line.y, *line.low, *line.high)]
    x_low, x_high = widened(min(xs), max(xs)) if min(xs) == max(xs) else (min(xs), max(xs))
    y_ticks = ticks(*(y_span or widened(min(ys), max(ys))))
    named = [(line.name, line.tone) for line in lines if line.name]
    top = TOP + (20 if named else 0)
    height = top + 170 + BOTTOM
    left = left_margin(y_ticks, word)
    x_at = scale(x_low, x_high, left + 8, WIDTH - RIGHT - 8)
    y_at = scale(y_ticks[0], y_ticks[-1], top + 170, top)

    chosen = [(x, plain(x)) for x in ticks(x_low, x_high, about=6) if x_low <= x <= x_high]
    parts = legend(named, left) + y_axis(y_ticks, y_at, word, left) + x_labels(x_ticks or chosen, x_at, top + 170)
    parts.append(text_at(x_label, (left + WIDTH - RIGHT) / 2, height - 8, "middle", "quiet"))
    parts += _bands([(x_at(x), address, name) for x, address, name in links], top, left)
    for x, text in warned:
        upright = segment(x_at(x), top, x_at(x), top + 170, "warned")
        parts.append(f"<g><title>{escape(text)}</title>{upright}</g>")
    for line in lines:
        parts += _drawn(line, x_at, y_at, marks=bool(line.low) or len(line.x) == 1)
    return svg_of(parts, height, title)


def _bands(links: Sequence[tuple[float, str, str]], top: float, left: float) -> list[str]:
    """Links from the middle between one place and the last to the middle between it and the next."""
    middles = [(a + b) / 2 for (a, _, _), (b, _, _) in itertools.pairwise(links)]
    edges = [left, *middles, WIDTH - RIGHT]
    return [
        f"<a href={quoteattr(address)}><title>{escape(name)}</title>"
        f'<rect class="band" x="{start:.1f}" y="{top}" width="{end - start:.1f}" height="170"/></a>'
        for (_, address, name), start, end in zip(links, edges, edges[1:], strict=False)
    ]


def _drawn(line: Line, x_at: Place, y_at: Place, marks: bool) -> list[str]:
    """A polyline, its whiskers and, if wanted, a dot at each point."""
    points = [(x_at(x), y_at(y)) for x, y in zip(line.x, line.y, strict=True)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [f'<polyline class="line tone{line.tone}" points="{path}"/>']
    for x, low, high in zip(line.x if line.low else (), line.low, line.high, strict=True):
        parts.append(segment(x_at(x), y_at(low), x_at(x), y_at(high), f"whisker tone{line.tone}"))
    if marks:
        parts += [f'<circle class="dot tone{line.tone}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
    return parts


def interval_chart(rows: Sequence[Row], title: str, word: Word, zero: bool = False) -> str:
    """A dot with its interval per row, all on one axis; `zero`: the axis includes 0 and marks it."""
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    marks = ticks(*widened(min(*ends, 0) if zero else min(ends), max(*ends, 0) if zero else max(ends)))
    at = scale(marks[0], marks[-1], 14, WIDTH - 14)
    bottom = TOP + 38 * len(rows)
    parts = [segment(at(mark), TOP, at(mark), bottom, "axis" if zero and mark == 0 else "grid") for mark in marks]
    for index, row in enumerate(rows):
        y = TOP + 38 * index + 28
        parts += _row_text(row, y - 12)
        if row.low is not None and row.high is not None:
            parts.append(segment(at(row.low), y, at(row.high), y, f"whisker tone{row.tone}"))
        parts.append(f'<circle class="dot tone{row.tone}" cx="{at(row.value):.1f}" cy="{y}" r="4.5"/>')
    parts += x_labels([(mark, word(mark)) for mark in marks], at, bottom)
    return svg_of(parts, bottom + 26, title)


def bar_chart(rows: Sequence[Row], title: str) -> str:
    """A bar per row, from 0; the values are written, so there is no axis."""
    longest = max(row.value for row in rows) or 1
    parts = []
    for index, row in enumerate(rows):
        y = 32 * index + 16
        parts += _row_text(row, y)
        width = max(1.5, WIDTH * row.value / longest)
        parts.append(f'<rect class="bar back" x="0" y="{y + 5}" width="{WIDTH}" height="6" rx="3"/>')
        parts.append(f'<rect class="bar tone{row.tone}" x="0" y="{y + 5}" width="{width:.1f}" height="6" rx="3"/>')
    return svg_of(parts, 32 * len(rows), title)


def column_chart(
    labels: Sequence[str],
    groups: Sequence[tuple[str, int, Sequence[float]]],
    title: str,
    x_label: str,
    share: Word | None = None,
) -> str:
    """Counts as columns, side by side per label; groups: (name, tone, a count per label).

    share: how a share is written, where they are no counts but shares of 1
    """
    top = TOP + 20
    height = top + 150 + BOTTOM
    highest = max(1, *(n for _, _, counts in groups for n in counts))
    y_ticks = [mark for mark in ticks(0, highest) if share or mark == int(mark)]
    y_at = scale(0, y_ticks[-1], top + 150, top)
    word = share or plain
    left = left_margin(y_ticks, word)
    slot = (WIDTH - left - RIGHT) / len(labels)
    width = 0.8 * slot / len(groups)
    parts = legend([(name, tone) for name, tone, _ in groups], left)
    parts += y_axis(y_ticks, y_at, word, left)
    for number, (_, tone, counts) in enumerate(groups):
        for place, count in enumerate(counts):
            x, y = left + slot * (place + 0.1) + width * number, y_at(count)
            parts.append(
                f'<rect class="bar tone{tone}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                f'height="{top + 150 - y:.1f}">'
                f"<title>{escape(labels[place])}: {word(count)}</title></rect>"
            )
    middle = [(left + slot * (place + 0.5), name) for place, name in enumerate(labels)]
    parts += x_labels(middle, lambda x: x, top + 150)
    parts.append(text_at(x_label, (left + WIDTH - RIGHT) / 2, height - 8, "middle", "quiet"))
    return svg_of(parts, height, title)


def side_by_side(figures: Sequence[tuple[str, str]], title: str) -> str:
    """(heading, picture) in one row as one SVG file that needs no page: it brings its own colours and paper."""
    gap, top = 40, 56
    heights = [float(svg.partition(f'viewBox="0 0 {WIDTH} ')[2].partition('"')[0]) for _, svg in figures]
    width, height = gap + len(figures) * (WIDTH + gap), top + max(heights) + 24
    parts = [f'<rect width="{width}" height="{height:g}" rx="8" fill="var(--paper)"/>']
    for place, (heading, svg) in enumerate(figures):
        x = gap + place * (WIDTH + gap)
        inside = svg[svg.index("</title>") + len("</title>") : svg.rindex("</svg>")]
        parts.append(f'<g class="chart" transform="translate({x} 0)">{text_at(heading, 0, 32, kind="heading")}</g>')
        parts.append(f'<g class="chart" transform="translate({x} {top})">{inside}</g>')
    style = f"{COLOURS}{CLASSES}text {{ font-family: system-ui, sans-serif; }} .chart .heading {{ font-size: 15px; }}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" role="img"'
    name = f"aria-label={quoteattr(title)}><title>{escape(title)}</title>"
    return f"{head} {name}<style>{style}</style>{''.join(parts)}</svg>\n"


def _row_text(row: Row, y: float) -> list[str]:
    """Label at the left, value at the right; squeezed where both would not fit side by side."""
    room = WIDTH - LETTER * len(row.text) - 12
    squeeze = f' textLength="{room:.0f}" lengthAdjust="spacingAndGlyphs"' if LETTER * len(row.label) > room else ""
    label = f'<text class="label" x="0" y="{y:.1f}"{squeeze}>{escape(row.label)}</text>'
    return [label, text_at(row.text, WIDTH, y, "end", "quiet")]


def axis_percent(share: float) -> str:
    """0.585 -> 58.5%"""
    return f"{round(100 * share, 4):g}%"


def axis_points(difference: float) -> str:
    """0.05 -> +5"""
    return f"{round(100 * difference, 4):+g}".replace("-", "−") if difference else "0"
