r"""Values of formulas, and whether two formulas are equal.

Exact where everything is rational; else with many digits (reals.py), which only a process that can be killed does: in
another one Undecided is raised. Two formulas with symbols are equal where they are at rational points of both signs,
spread at random (Schwartz and Zippel's test of identities, exact for rational functions); symbols that count a sum's
terms are positive integers there. Sizes are bounded: what is larger equals itself only.
"""

import functools
import math
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from polaris.grading.equality import exact
from polaris.grading.equality.exact import Effort, TooLarge, Undefined
from polaris.grading.reading.values import Expr, negative, parts, symbols

POINTS = 10  # at which identities are tested
VALID = 4  # of them must be defined on both sides
MAX_TERMS = 2_000  # of a sum
SIX_DIGITS = 6
Value = Any  # a Fraction, or mpmath's real or complex number


class Evaluator:
    """Values at one point; `scale` is the size of the largest irrational term that was added."""

    def __init__(self, point: Mapping[str, Value], effort: Effort):
        self.point, self.effort, self.scale = dict(point), effort, 0

    def __call__(self, expr: Expr) -> Value:
        """The formula's value. Raises Undecided, Undefined and TooLarge."""
        value = self.of(expr)
        self.effort.spend(1 + (value.numerator.bit_length() >> 8 if isinstance(value, Fraction) else 1))
        return value

    def of(self, expr: Expr) -> Value:
        op, args = expr.op, expr.args
        if op == "num":
            return args[0]
        if op == "sym":
            return self.point[args[0]]
        if op in ("add", "mul"):
            return self.many(op, [self(arg) for arg in args])
        if op in ("sum", "prod"):
            return self.series(op, *args)
        if op in ("lim", "int"):
            return self.effort.reals.value(expr, self.point)
        if op == "const":
            return self.effort.reals.constant(args[0])
        if op == "apply":
            return exact.unknown(args[0], self(args[1]), self.effort)
        if op == "det":
            return self.determinant([[self(cell) for cell in row.args] for row in args])
        return exact.apply(op, [self(arg) for arg in args], self.effort)

    def many(self, op: str, values: list[Value]) -> Value:
        if op == "add" and not exact.rational(*values):
            self.scale = max(self.scale, *(abs(self.effort.reals.number(value)) for value in values))
        total = values[0]
        for value in values[1:]:
            total = exact.plus(total, value, self.effort) if op == "add" else exact.times(total, value, self.effort)
        return total

    def series(self, op: str, name: str, first: Expr, last: Expr, body: Expr) -> Value:
        low, high = self(first), self(last)
        if not (isinstance(low, Fraction) and isinstance(high, Fraction) and low.denominator == high.denominator == 1):
            raise Undefined
        if high - low > MAX_TERMS:
            raise TooLarge
        outer = self.point.get(name)
        total: Value = Fraction(op == "prod")
        for index in range(int(low), int(high) + 1):
            self.point[name] = Fraction(index)
            total = self.many("add" if op == "sum" else "mul", [total, self(body)])
        if outer is None:
            self.point.pop(name, None)
        else:
            self.point[name] = outer
        return total

    def determinant(self, rows: list[list[Value]]) -> Value:
        if len(rows) == 1:
            return rows[0][0]
        total: Value = Fraction(0)
        for column, value in enumerate(rows[0]):
            minor = self.determinant([row[:column] + row[column + 1 :] for row in rows[1:]])
            total = self.many("add", [total, self.many("mul", [Fraction((-1) ** column), value, minor])])
        return total


@functools.lru_cache(maxsize=4096)
def _coordinate(name: str, place: int, whole: bool) -> Fraction:
    """A symbol's value at a sample point: small, so that its powers are; positive at the first three points."""
    chance = random.Random(f"{name}/{place}")
    if whole:
        return Fraction(place + 2 + chance.randrange(2))
    size = Fraction(chance.choice((2, 3, 5, 7, 11, 13, 17, 19, 23)), chance.choice((29, 31, 10, 8, 9)))
    return -size if place > 2 and chance.random() < 0.5 else size


def _counting(*exprs: Expr) -> frozenset[str]:
    """Symbols in the bounds of sums and products, and in powers of negative numbers: (-1)^n."""
    names: frozenset[str] = frozenset()
    for expr in exprs:
        for part in parts(expr):
            if part.op in ("sum", "prod"):
                names |= symbols(part.args[1], part.args[2])
            elif part.op == "pow" and part.args[0].op == "num" and part.args[0].args[0] < 0:
                names |= symbols(part.args[1])
    return names


def equal(a: Expr, b: Expr, effort: Effort) -> bool:
    """Whether two formulas are equal. Raises Undecided where `effort` does not suffice."""
    if a == b:
        return True
    names = symbols(a, b)
    if not names:
        return _equal_numbers(a, b, effort)
    valid, whole = 0, _counting(a, b)
    for place in range(POINTS):
        pair = _pair(a, b, {name: _coordinate(name, place, name in whole) for name in names}, effort)
        if pair is None:
            continue
        x, y, scale = pair
        if not exact.near(x, y, effort, scale):
            return False
        valid += 1
    return valid >= VALID


def _pair(a: Expr, b: Expr, point: Mapping[str, Value], effort: Effort) -> tuple[Value, Value, Value] | None:
    """Both values and their scale; None where either is undefined or too large."""
    first, second = Evaluator(point, effort), Evaluator(point, effort)
    try:
        return first(a), second(b), max(first.scale, second.scale)
    except (Undefined, TooLarge, ZeroDivisionError, OverflowError):
        return None


def _equal_numbers(a: Expr, b: Expr, effort: Effort) -> bool:
    pair = _pair(a, b, {}, effort)
    if pair is None:
        return False
    x, y, scale = pair
    if exact.near(x, y, effort, scale):
        return True
    return _stands_for(a, x, y, effort) or _stands_for(b, y, x, effort)


def _stands_for(literal: Expr, decimal: Value, other: Value, effort: Effort) -> bool:
    """Whether a decimal of six digits and more is another, irrational, number rounded or cut to its digits."""
    decimal_of_six = literal.op == "num" and literal.args[1] >= SIX_DIGITS
    return decimal_of_six and not exact.rational(other) and _rounds(literal, decimal, other, effort)


def _rounds(literal: Expr, decimal: Value, other: Value, effort: Effort) -> bool:
    if not decimal or not exact.rational(other) and not effort.reals.is_real(other):
        return False
    digits = literal.args[1] or len(str(abs(int(decimal))))
    exponent = math.floor(math.log10(abs(decimal)))
    exponent += abs(decimal) >= Fraction(10) ** (exponent + 1)
    last = Fraction(10) ** (exponent + 1 - digits)
    beyond, size = exact.plus(abs(other), -abs(decimal), effort), last
    if not exact.rational(other):
        size = effort.reals.number(last)
    return (other > 0) == (decimal > 0) and bool(abs(beyond) * 2 <= size or 0 <= beyond < size)


def is_rounding(literal: Expr, value: Expr, effort: Effort) -> bool:
    """Whether a number is a formula's value, rounded or cut to the number's digits."""
    pair = None if symbols(value) else _pair(literal, value, {}, effort)
    return pair is not None and (exact.near(pair[0], pair[1], effort) or _rounds(literal, pair[0], pair[1], effort))


def number(expr: Expr, effort: Effort) -> Value:
    """The real value of a formula without symbols. Raises Undefined where it has none."""
    if symbols(expr):
        raise Undefined
    try:
        value = Evaluator({}, effort)(expr)
    except (TooLarge, ZeroDivisionError, OverflowError):
        raise Undefined from None
    if not isinstance(value, Fraction) and not effort.reals.is_real(value):
        raise Undefined
    return value


def proportional(a: tuple[Expr, Expr], b: tuple[Expr, Expr], effort: Effort) -> bool:
    """Whether left - right of two equations differ by a constant factor that is not 0."""
    f, g = (Expr("add", (left, negative(right))) for left, right in (a, b))
    names = symbols(f) | symbols(g)
    if symbols(f) != symbols(g) or not names:
        return False
    factor, valid, whole = None, 0, _counting(f, g)
    for place in range(POINTS):
        pair = _pair(f, g, {name: _coordinate(name, place, name in whole) for name in names}, effort)
        if pair is None:
            continue
        x, y, _ = pair
        if not x or not y:
            if x or y:
                return False
            continue
        quotient = exact.over(x, y, effort)
        if factor is not None and not exact.near(factor, quotient, effort):
            return False
        factor, valid = quotient, valid + 1
    return valid >= VALID
