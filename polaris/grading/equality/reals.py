"""Operations on real and complex numbers, with mpmath at DIGITS digits, and what SymPy is asked.

Only polaris/grading/grading_worker.py imports this: however it is bounded, it computes what a model wrote, so the
process must be one that can be killed.
"""

from fractions import Fraction
from typing import Any

from mpmath import mp

from polaris.grading.equality import symbolic
from polaris.grading.equality.exact import TooLarge, Undefined

DIGITS = 130  # that irrational numbers are computed with
AGREEMENT = Fraction(1, 10**100)  # relative difference below which two are equal
MAX_SIZE = 10**6  # of what a factorial or an exponential is taken
Value = Any
mp.dps = DIGITS

value, solve = symbolic.value, symbolic.solve


def number(value: Value) -> Value:
    """A fraction as mpmath's number; others as they are."""
    return mp.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value


def is_real(value: Value) -> bool:
    return isinstance(value, Fraction) or not hasattr(value, "_mpc_") and bool(mp.isfinite(value))


def plus(a: Value, b: Value) -> Value:
    return number(a) + number(b)


def times(a: Value, b: Value) -> Value:
    return number(a) * number(b)


def over(a: Value, b: Value) -> Value:
    return number(a) / number(b)


def near(a: Value, b: Value, scale: Value) -> bool:
    x, y = number(a), number(b)
    return bool(abs(x - y) <= number(AGREEMENT) * max(abs(x), abs(y), number(scale)))


def spelled(value: Value) -> str:
    return mp.nstr(value, DIGITS // 2)


def constant(name: str) -> Value:
    if name == "i":
        return mp.mpc(0, 1)
    return {"pi": +mp.pi, "e": +mp.e, "deg": mp.pi / 180}[name]


def power(base: Value, exponent: Value) -> Value:
    x, y = number(base), number(exponent)
    if x == 0:
        if isinstance(exponent, Fraction) and exponent > 0:
            return Fraction(0)
        raise Undefined
    odd_root = isinstance(exponent, Fraction) and exponent.denominator % 2 == 1 < exponent.denominator
    if odd_root and is_real(base) and x < 0:
        size = power(-x, exponent)
        return -size if exponent.numerator % 2 else size
    if abs(y) * (abs(mp.log(abs(x))) + 4) > MAX_SIZE:
        raise TooLarge
    return mp.power(x, y)


def function(op: str, given: list[Value]) -> Value:
    """One of values.FUNCTIONS. Raises Undefined and TooLarge."""
    values = [number(value) for value in given]
    x = values[0]
    if any(abs(value) > MAX_SIZE**5 for value in values):
        raise TooLarge
    if op in ("factorial", "binom", "sinh", "cosh", "tanh") and any(abs(value) > MAX_SIZE for value in values):
        raise TooLarge
    if op in ("ln", "log"):
        if x == 0 or len(values) > 1 and values[1] in (0, 1):
            raise Undefined
        # the base of a bare log is not known: any will do, as long as it is always the same
        return mp.log(x) / (mp.log(values[1]) if len(values) > 1 else 1 if op == "ln" else +mp.catalan)
    if op == "sqrt":
        if len(values) == 1:
            return mp.sqrt(x)
        if is_real(x) and x < 0 and given[1] % 2 == 1:
            return -mp.root(-x, int(given[1]))
        return mp.root(x, int(given[1]))
    if op in ("floor", "ceil", "max", "min"):
        if not all(map(is_real, values)):
            raise Undefined
        return (
            {"floor": mp.floor, "ceil": mp.ceil}[op](x)
            if op in ("floor", "ceil")
            else (max(values) if op == "max" else min(values))
        )
    if op in ("gcd", "lcm", "det"):
        raise Undefined
    names = {
        "arcsin": "asin", "arccos": "acos", "arctan": "atan", "abs": "fabs", "factorial": "factorial",
        "binom": "binomial",
    }  # fmt: skip
    try:
        return getattr(mp, names.get(op, op))(*values)
    except (ValueError, ZeroDivisionError):
        raise Undefined from None
