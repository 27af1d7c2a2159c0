"""Pictures of the report as inline SVG: data in, SVG text out.

Every picture is 360 units wide, a phone's column, so that its 12-unit letters stay legible there. Colours and fonts
come from the page through classes (`tone0` ... `tone3`, `grid`, `axis`, `quiet`) and currentColor: one picture for both
themes.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape, quoteattr

WIDTH = 360
SIZE = 12  # of the letters
LETTER = 0.58 * SIZE  # width of an average letter
RIGHT, TOP, BOTTOM = 12, 14, 46  # margins of pictures with two axes

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

Word = Callable[[float], str]
Place = Callable[[float], float]


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
) -> str:
    """Lines over a numeric axis, with whiskers where a line has intervals.

    x_ticks: (position, label), chosen here if empty; word: how a y value is written; y_span: to share an axis
    links: (position, address, title), each the part of the picture that is closest to it
    """
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for y in (*line.y, *line.low, *line.high)]
    x_low, x_high = _widened(min(xs), max(xs)) if min(xs) == max(xs) else (min(xs), max(xs))
    y_ticks = ticks(*(y_span or _widened(min(ys), max(ys))))
    legend = [line for line in lines if line.name]
    top = TOP + (20 if legend else 0)
    height = top + 170 + BOTTOM
    left = _left(y_ticks, word)
    x_at = _scale(x_low, x_high, left + 8, WIDTH - RIGHT - 8)
    y_at = _scale(y_ticks[0], y_ticks[-1], top + 170, top)

    chosen = [(x, plain(x)) for x in ticks(x_low, x_high, about=6) if x_low <= x <= x_high]
    parts = _legend(legend, left) + _y_axis(y_ticks, y_at, word, left) + _x_labels(x_ticks or chosen, x_at, top + 170)
    parts.append(_text(x_label, (left + WIDTH - RIGHT) / 2, height - 8, "middle", "quiet"))
    parts += _bands([(x_at(x), address, name) for x, address, name in links], top, left)
    for line in lines:
        parts += _drawn(line, x_at, y_at, marks=bool(line.low) or len(line.x) == 1)
    return _svg(parts, height, title)


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
        parts.append(_segment(x_at(x), y_at(low), x_at(x), y_at(high), f"whisker tone{line.tone}"))
    if marks:
        parts += [f'<circle class="dot tone{line.tone}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
    return parts


def interval_chart(rows: Sequence[Row], title: str, word: Word, zero: bool = False) -> str:
    """A dot with its interval per row, all on one axis; `zero`: the axis includes 0 and marks it."""
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    marks = ticks(*_widened(min(*ends, 0) if zero else min(ends), max(*ends, 0) if zero else max(ends)))
    at = _scale(marks[0], marks[-1], 14, WIDTH - 14)
    bottom = TOP + 38 * len(rows)
    parts = [_segment(at(mark), TOP, at(mark), bottom, "axis" if zero and mark == 0 else "grid") for mark in marks]
    for index, row in enumerate(rows):
        y = TOP + 38 * index + 28
        parts += _row_text(row, y - 12)
        if row.low is not None and row.high is not None:
            parts.append(_segment(at(row.low), y, at(row.high), y, f"whisker tone{row.tone}"))
        parts.append(f'<circle class="dot tone{row.tone}" cx="{at(row.value):.1f}" cy="{y}" r="4.5"/>')
    parts += _x_labels([(mark, word(mark)) for mark in marks], at, bottom)
    return _svg(parts, bottom + 26, title)


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
    return _svg(parts, 32 * len(rows), title)


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
    y_at = _scale(0, y_ticks[-1], top + 150, top)
    word = share or plain
    left = _left(y_ticks, word)
    slot = (WIDTH - left - RIGHT) / len(labels)
    width = 0.8 * slot / len(groups)
    parts = _legend([Line(name, (), (), tone=tone) for name, tone, _ in groups], left)
    parts += _y_axis(y_ticks, y_at, word, left)
    for number, (_, tone, counts) in enumerate(groups):
        for place, count in enumerate(counts):
            x, y = left + slot * (place + 0.1) + width * number, y_at(count)
            parts.append(
                f'<rect class="bar tone{tone}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                f'height="{top + 150 - y:.1f}">'
                f"<title>{escape(labels[place])}: {word(count)}</title></rect>"
            )
    middle = [(left + slot * (place + 0.5), name) for place, name in enumerate(labels)]
    parts += _x_labels(middle, lambda x: x, top + 150)
    parts.append(_text(x_label, (left + WIDTH - RIGHT) / 2, height - 8, "middle", "quiet"))
    return _svg(parts, height, title)


def side_by_side(figures: Sequence[tuple[str, str]], title: str) -> str:
    """(heading, picture) in one row as one SVG file that needs no page: it brings its own colours and paper."""
    gap, top = 40, 56
    heights = [float(svg.partition(f'viewBox="0 0 {WIDTH} ')[2].partition('"')[0]) for _, svg in figures]
    width, height = gap + len(figures) * (WIDTH + gap), top + max(heights) + 24
    parts = [f'<rect width="{width}" height="{height:g}" rx="8" fill="var(--paper)"/>']
    for place, (heading, svg) in enumerate(figures):
        x = gap + place * (WIDTH + gap)
        inside = svg[svg.index("</title>") + len("</title>") : svg.rindex("</svg>")]
        parts.append(f'<g class="chart" transform="translate({x} 0)">{_text(heading, 0, 32, kind="heading")}</g>')
        parts.append(f'<g class="chart" transform="translate({x} {top})">{inside}</g>')
    style = f"{COLOURS}{CLASSES}text {{ font-family: system-ui, sans-serif; }} .chart .heading {{ font-size: 15px; }}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" role="img"'
    name = f"aria-label={quoteattr(title)}><title>{escape(title)}</title>"
    return f"{head} {name}<style>{style}</style>{''.join(parts)}</svg>\n"


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round positions 1, 2 or 5 times a power of ten apart that enclose [low, high]; about so many gaps."""
    raw = (high - low) / about or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def plain(value: float) -> str:
    """0.25 -> 0.25, 14200 -> 14200"""
    return f"{value:.9g}"


# --- pieces -----------------------------------------------------------------------------------------------------
def _widened(low: float, high: float) -> tuple[float, float]:
    """Room around the data; a single value gets an axis, too."""
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - room, high + room


def _scale(low: float, high: float, start: float, end: float) -> Place:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img"'
    return f"{head} aria-label={quoteattr(title)}><title>{escape(title)}</title>{''.join(parts)}</svg>"


def _text(text: str, x: float, y: float, anchor: str = "start", kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _row_text(row: Row, y: float) -> list[str]:
    """Label at the left, value at the right; squeezed where both would not fit side by side."""
    room = WIDTH - LETTER * len(row.text) - 12
    squeeze = f' textLength="{room:.0f}" lengthAdjust="spacingAndGlyphs"' if LETTER * len(row.label) > room else ""
    label = f'<text class="label" x="0" y="{y:.1f}"{squeeze}>{escape(row.label)}</text>'
    return [label, _text(row.text, WIDTH, y, "end", "quiet")]


def _legend(lines: Sequence[Line], left: float) -> list[str]:
    parts, x = [], left
    for line in lines:
        parts.append(f'<rect class="bar tone{line.tone}" x="{x:.1f}" y="8" width="10" height="10" rx="2"/>')
        parts.append(_text(line.name, x + 15, 17))
        x += 15 + LETTER * len(line.name) + 16
    return parts


def _left(marks: Sequence[float], word: Word) -> float:
    """Margin for the labels of the y axis."""
    return max(44, 10 + LETTER * max(len(word(mark)) for mark in marks))


def _y_axis(marks: Sequence[float], at: Place, word: Word, left: float) -> list[str]:
    parts = []
    for mark in marks:
        parts.append(_segment(left, at(mark), WIDTH - RIGHT, at(mark), "grid"))
        parts.append(_text(word(mark), left - 6, at(mark) + 4, "end", "quiet"))
    return parts


def _x_labels(marks: Sequence[tuple[float, str]], at: Place, y: float) -> list[str]:
    """Labels under an axis: the first and the last, and of the others those that have room."""
    placed: list[tuple[float, float, str]] = []
    for position in sorted(range(len(marks)), key=lambda i: (0 < i < len(marks) - 1, i)):
        value, text = marks[position]
        half = LETTER * len(text) / 2
        middle = min(max(at(value), half), WIDTH - half)
        if all(middle + half + 4 <= start or middle - half - 4 >= end for start, end, _ in placed):
            placed.append((middle - half, middle + half, text))
    return [_text(text, (start + end) / 2, y + 17, "middle", "quiet") for start, end, text in sorted(placed)]


def axis_percent(share: float) -> str:
    """0.585 -> 58.5%"""
    return f"{round(100 * share, 4):g}%"


def axis_points(difference: float) -> str:
    """0.05 -> +5"""
    return f"{round(100 * difference, 4):+g}".replace("-", "−") if difference else "0"
