"""The pieces of which pictures are drawn: axes, ticks, texts."""

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape, quoteattr

WIDTH = 360
SIZE = 12  # of the letters
LETTER = 0.58 * SIZE  # width of an average letter
RIGHT, TOP, BOTTOM = 12, 14, 46  # margins of pictures with two axes

Word = Callable[[float], str]
Place = Callable[[float], float]


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


def widened(low: float, high: float) -> tuple[float, float]:
    """Room around the data, below 0 only where the data is; a single value gets an axis, too."""
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - room if low < 0 else max(low - room, 0.0), high + room


def scale(low: float, high: float, start: float, end: float) -> Place:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def svg_of(parts: Sequence[str], height: float, title: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img"'
    return f"{head} aria-label={quoteattr(title)}><title>{escape(title)}</title>{''.join(parts)}</svg>"


def text_at(text: str, x: float, y: float, anchor: str = "start", kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def left_margin(marks: Sequence[float], word: Word) -> float:
    """Margin for the labels of the y axis."""
    return max(44, 10 + LETTER * max(len(word(mark)) for mark in marks))


def y_axis(marks: Sequence[float], at: Place, word: Word, left: float) -> list[str]:
    parts = []
    for mark in marks:
        parts.append(segment(left, at(mark), WIDTH - RIGHT, at(mark), "grid"))
        parts.append(text_at(word(mark), left - 6, at(mark) + 4, "end", "quiet"))
    return parts


def x_labels(marks: Sequence[tuple[float, str]], at: Place, y: float) -> list[str]:
    """Labels under an axis: the first and the last, and of the others those that have room."""
    placed: list[tuple[float, float, str]] = []
    for position in sorted(range(len(marks)), key=lambda i: (0 < i < len(marks) - 1, i)):
        value, text = marks[position]
        half = LETTER * len(text) / 2
        middle = min(max(at(value), half), WIDTH - half)
        if all(middle + half + 4 <= start or middle - half - 4 >= end for start, end, _ in placed):
            placed.append((middle - half, middle + half, text))
    return [text_at(text, (start + end) / 2, y + 17, "middle", "quiet") for start, end, text in sorted(placed)]


def legend(names: Sequence[tuple[str, int]], left: float) -> list[str]:
    """names: (what is drawn, its tone)"""
    parts, x = [], left
    for name, tone in names:
        parts.append(f'<rect class="bar tone{tone}" x="{x:.1f}" y="8" width="10" height="10" rx="2"/>')
        parts.append(text_at(name, x + 15, 17))
        x += 15 + LETTER * len(name) + 16
    return parts
