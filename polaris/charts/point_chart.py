"""Models as points over two benchmarks: each with its intervals, and the front of those that no other one beats."""

import dataclasses
from collections.abc import Sequence
from xml.sax.saxutils import escape

from polaris.charts.pieces import (
    BOTTOM,
    LETTER,
    RIGHT,
    SIZE,
    TOP,
    WIDTH,
    Place,
    Word,
    left_margin,
    legend,
    scale,
    segment,
    svg_of,
    text_at,
    ticks,
    x_labels,
    y_axis,
)

HEIGHT = 230  # of the area between the axes


@dataclasses.dataclass(frozen=True)
class Point:
    """One model. at: its scores on both benchmarks; intervals: of each; kind: for the legend, with its tone;
    first: it is on the front.
    """

    name: str
    kind: str
    at: tuple[float, float]
    intervals: tuple[tuple[float, float], tuple[float, float]]
    tone: int
    first: bool


def point_chart(points: Sequence[Point], axes: tuple[str, str], title: str, word: Word) -> str:
    """Points with whiskers both ways; the front as a staircase: below and left of it some model is at least as good.

    The names are those of the front, as far as there is room; every point says its own when it is pointed at.
    """
    x_marks, y_marks = (ticks(*_ends(points, axis)) for axis in (0, 1))
    left, top = left_margin(y_marks, word), TOP + 20
    bottom = top + HEIGHT
    x_at = scale(x_marks[0], x_marks[-1], left, WIDTH - RIGHT)
    y_at = scale(y_marks[0], y_marks[-1], bottom, top)
    parts = legend(list(dict.fromkeys((point.kind, point.tone) for point in points)), left)
    parts += y_axis(y_marks, y_at, word, left) + x_labels([(mark, word(mark)) for mark in x_marks], x_at, bottom)
    parts.append(text_at(axes[0], (left + WIDTH - RIGHT) / 2, bottom + BOTTOM - 8, "middle", "quiet"))
    parts.append(text_at(axes[1], left + 6, top + SIZE, "start", "quiet"))
    parts.append(_staircase([point.at for point in points if point.first], x_at, y_at, (left, bottom)))
    for point in points:
        parts += _marked(point, x_at, y_at, axes, word)
    taken = [(top + SIZE, left, left + 6 + LETTER * len(axes[1]))]
    for point in sorted(points, key=lambda one: -one.at[1]):
        if point.first and (place := _free(point, x_at, y_at, taken, left)):
            parts.append(text_at(point.name, *place))
    return svg_of(parts, bottom + BOTTOM, title)


def _ends(points: Sequence[Point], axis: int) -> tuple[float, float]:
    ends = [end for point in points for end in (point.at[axis], *point.intervals[axis])]
    return min(ends), max(ends)


def _staircase(at: Sequence[tuple[float, float]], x_at: Place, y_at: Place, corner: tuple[float, float]) -> str:
    steps, height = [], corner[1]
    for x, y in sorted(at, reverse=True):
        steps += [(x_at(x), height), (x_at(x), y_at(y))]
        height = y_at(y)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*steps, (corner[0], height)])
    return f'<polyline class="line tone3" stroke-dasharray="3 3" points="{path}"/>'


def _marked(point: Point, x_at: Place, y_at: Place, axes: tuple[str, str], word: Word) -> list[str]:
    (x, y), (across, up) = point.at, point.intervals
    kind = f"whisker tone{point.tone}"
    said = escape(f"{point.name}: {word(x)} on {axes[0]}, {word(y)} on {axes[1]}")
    place = f'cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="4.5"'
    return [
        segment(x_at(across[0]), y_at(y), x_at(across[1]), y_at(y), kind),
        segment(x_at(x), y_at(up[0]), x_at(x), y_at(up[1]), kind),
        f'<circle class="dot tone{point.tone}" {place}><title>{said}</title></circle>',
    ]


def _free(
    point: Point, x_at: Place, y_at: Place, taken: list[tuple[float, float, float]], left: float
) -> tuple[float, float] | None:
    """Where the name may stand, above or below its point, beside it; None: nowhere. taken: (y, from, to) of texts."""
    length = LETTER * len(point.name)
    for x in (x_at(point.at[0]) + 7, x_at(point.at[0]) - 7 - length):
        for y in (y_at(point.at[1]) - 7, y_at(point.at[1]) + 7 + SIZE):
            inside = left < x and x + length < WIDTH and TOP + 20 + SIZE < y < TOP + 20 + HEIGHT
            if inside and all(abs(y - line) >= SIZE or x >= end or x + length <= begin for line, begin, end in taken):
                taken.append((y, x, x + length))
                return x, y
    return None
