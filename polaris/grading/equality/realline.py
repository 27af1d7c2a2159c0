"""Regions of the real line in a normal form: disjoint intervals from left to right, with numbers for ends."""

import functools
from typing import Any

from polaris.grading.equality import arithmetic
from polaris.grading.equality.exact import Effort, Undefined, near, rational
from polaris.grading.reading.values import INFINITY, Expr, negative

Piece = tuple[Any, bool, Any, bool]  # low, low closed, high, high closed; infinite ends are floats
ENDLESS = float("inf")
MAX_PIECES = 200


def normal(tree: tuple[Any, ...], effort: Effort) -> list[Piece]:
    """The pieces of a Region's tree. Raises Undecided, and Undefined where it is no region of numbers."""
    kind, *rest = tree
    if kind == "piece":
        low, high = _end(rest[0], effort), _end(rest[2], effort)
        order = _order(low, high, effort)
        if order > 0 or order == 0 and not (rest[1] and rest[3]):
            raise Undefined
        return [(low, rest[1], high, rest[3])]
    if kind == "relation":
        return _merged([], effort.reals.solve(*rest), "or", effort)
    sets = [normal(each, effort) for each in rest]
    total = sets[0] if sets else []
    for each in sets[1:]:
        total = _merged(total, each, kind, effort)
    return total


def same(a: list[Piece], b: list[Piece], effort: Effort) -> bool:
    return len(a) == len(b) and all(
        x[1] == y[1] and x[3] == y[3] and _order(x[0], y[0], effort) == 0 == _order(x[2], y[2], effort)
        for x, y in zip(a, b, strict=True)
    )


def _end(expr: Expr, effort: Effort) -> Any:
    if expr == INFINITY:
        return ENDLESS
    if expr == negative(INFINITY):
        return -ENDLESS
    return arithmetic.number(expr, effort)


def _order(a: Any, b: Any, effort: Effort) -> int:
    """-1, 0 or 1 as a is below, equal to or above b."""
    if isinstance(a, float) or isinstance(b, float):
        x, y = (value if isinstance(value, float) else 0.0 for value in (a, b))
        return (x > y) - (x < y)
    if near(a, b, effort):
        return 0
    if rational(a, b):
        return 1 if a > b else -1
    return 1 if effort.reals.number(a) > effort.reals.number(b) else -1


def _merged(a: list[Piece], b: list[Piece], op: str, effort: Effort) -> list[Piece]:
    """Union, intersection or difference: the line is cut at all ends, and each cell is asked."""
    if len(a) + len(b) > MAX_PIECES:
        raise Undefined
    ends: list[Any] = []
    by_size = functools.cmp_to_key(lambda x, y: _order(x, y, effort))
    for end in sorted((end for piece in a + b for end in (piece[0], piece[2])), key=by_size):
        if not ends or _order(ends[-1], end, effort):
            ends.append(end)
    ends = [end for end in ends if not isinstance(end, float)]
    cells: list[Piece] = []
    before: Any = -ENDLESS
    for end in ends:
        cells += [(before, False, end, False), (end, True, end, True)]
        before = end
    cells.append((before, False, ENDLESS, False))
    pieces: list[Piece] = []
    for cell in cells:
        x, y = _holds(a, cell, effort), _holds(b, cell, effort)
        if not (x or y if op == "or" else x and y if op == "and" else x and not y):
            continue
        if pieces and _order(pieces[-1][2], cell[0], effort) == 0 and (pieces[-1][3] or cell[1]):
            pieces[-1] = (*pieces[-1][:2], *cell[2:])
        else:
            pieces.append(cell)
    return pieces


def _holds(pieces: list[Piece], cell: Piece, effort: Effort) -> bool:
    low, closed, high, _ = cell
    for piece in pieces:
        left, right = _order(piece[0], low, effort), _order(piece[2], high, effort)
        if left < 0 and right > 0 or left <= 0 <= right and (not closed or (left or piece[1]) and (right or piece[3])):
            return True
    return False
