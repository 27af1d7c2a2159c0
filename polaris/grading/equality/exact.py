"""Single operations on fractions, as long as the result is one; what is not goes to `Effort.reals`.

Everything is bounded before it is computed: what would take long, or more than MAX_BITS, is TooLarge. Pure: the real
numbers are given by the process that may be killed (reals.py), and no other has them.
"""

import hashlib
import math
from fractions import Fraction
from typing import Any

from polaris.grading.reading.values import FUNCTIONS

MAX_BITS = 1 << 16  # of an exact power
MAX_FACTORIAL = 3_000  # exact
MAX_SIZE = 10**6  # of what a binomial is taken
LITTLE_WORK, WORK = 10_000, 500_000  # operations on numbers of up to 256 bits
Value = Any  # a Fraction, or a real or complex number of reals.py


class Undecided(Exception):
    """It takes real numbers, or more work, than this process spends on it."""


class Undefined(ArithmeticError):
    """There is no such number."""


class TooLarge(ArithmeticError):
    """It is not computed."""


class Effort:
    """What a comparison may cost."""

    def __init__(self, reals: Any = None):
        """reals: the module polaris.grading.equality.reals, where real numbers may be computed and SymPy asked."""
        self._reals, self.left = reals, LITTLE_WORK if reals is None else WORK

    @property
    def reals(self) -> Any:
        """The operations on real numbers. Raises Undecided where this process has none."""
        if self._reals is None:
            raise Undecided
        return self._reals

    def spend(self, cost: int) -> None:
        """Count operations. Raises TooLarge when too many are spent; Undecided where another process may spend more."""
        self.left -= cost
        if self.left < 0:
            raise Undecided if self._reals is None else TooLarge


def rational(*values: Value) -> bool:
    return all(isinstance(value, Fraction) for value in values)


def plus(a: Value, b: Value, effort: Effort) -> Value:
    return _bounded(a + b) if rational(a, b) else effort.reals.plus(a, b)


def times(a: Value, b: Value, effort: Effort) -> Value:
    return _bounded(a * b) if rational(a, b) else effort.reals.times(a, b)


def over(a: Value, b: Value, effort: Effort) -> Value:
    return a / b if rational(a, b) else effort.reals.over(a, b)


def near(a: Value, b: Value, effort: Effort, scale: Value = 0) -> bool:
    """Whether two values agree: exactly, or to the digits of reals.AGREEMENT, relative to their size or `scale`."""
    return a == b if rational(a, b) else effort.reals.near(a, b, scale)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 4 * MAX_BITS:
        raise TooLarge
    return value


def unknown(name: str, argument: Value, effort: Effort) -> Fraction:
    """The value of a function that nothing is known of: any, but the same for the same argument."""
    text = str(argument) if rational(argument) else effort.reals.spelled(argument)
    return Fraction(int.from_bytes(hashlib.sha256(f"{name}({text})".encode()).digest()[:3], "big") + 1, 1 << 23)


def apply(op: str, values: list[Value], effort: Effort) -> Value:
    """A power or one of values.FUNCTIONS. Raises Undecided, Undefined and TooLarge."""
    if op == "pow":
        return power(values[0], values[1], effort)
    if op not in FUNCTIONS:
        raise Undefined
    if rational(*values):
        exact = _exact(op, values)
        if exact is not None:
            return exact
    return effort.reals.function(op, values)


def power(base: Value, exponent: Value, effort: Effort) -> Value:
    if rational(base, exponent):
        if base == 0 and exponent <= 0:
            raise Undefined
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        small = bits * abs(exponent) <= MAX_BITS
        if exponent.denominator == 1:
            if not small and base not in (0, 1, -1):
                raise TooLarge
            return base ** (int(exponent) if small else int(exponent) % 2 + 2)
        if base < 0 and exponent.denominator % 2:  # the real root, as \\sqrt[3] has it
            size = power(-base, exponent, effort)
            return times(Fraction(-1), size, effort) if exponent.numerator % 2 else size
        if base >= 0 and small and exponent.denominator < 1000:
            root = _root(base, exponent.denominator)
            if root is not None:
                return root**exponent.numerator
    return effort.reals.power(base, exponent)


def _root(value: Fraction, degree: int) -> Fraction | None:
    """The exact root of a fraction that is not negative, None where it is irrational."""
    above, below = (_integer_root(part, degree) for part in (value.numerator, value.denominator))
    return None if above is None or below is None else Fraction(above, below)


def _integer_root(value: int, degree: int) -> int | None:
    if degree == 2:
        root = math.isqrt(value)
    else:
        low, high = 0, 1 << (value.bit_length() // degree + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
        root = low
    return root if root**degree == value else None


def _exact(op: str, values: list[Fraction]) -> Fraction | None:
    """The rational value of an operation on fractions, None where it has none."""
    x = values[0]
    whole = all(value.denominator == 1 for value in values)
    if op == "abs":
        return abs(x)
    if op in ("floor", "ceil"):
        return Fraction(math.floor(x) if op == "floor" else math.ceil(x))
    if op in ("max", "min"):
        return max(values) if op == "max" else min(values)
    if op in ("gcd", "lcm"):
        if not whole:
            raise Undefined
        return Fraction((math.gcd if op == "gcd" else math.lcm)(*map(int, values)))
    if op == "factorial" and whole:
        if x < 0:
            raise Undefined
        if x > MAX_FACTORIAL:
            raise TooLarge
        return Fraction(math.factorial(int(x)))
    if op == "binom" and values[1].denominator == 1 and abs(values[1]) <= MAX_FACTORIAL:
        return _binomial(x, int(values[1]))
    if op == "sqrt":
        degree = values[1] if len(values) > 1 else Fraction(2)
        if degree.denominator != 1 or not 1 <= degree < 1000:
            raise Undefined
        if x < 0 and degree % 2 == 1:
            root = _root(-x, int(degree))
            return None if root is None else -root
        return _root(x, int(degree)) if x >= 0 else None
    if op in ("ln", "log") and x == 1 or op in ("sin", "tan", "arcsin", "arctan", "sinh", "tanh") and x == 0:
        return Fraction(0)
    return None


def _binomial(n: Fraction, k: int) -> Fraction:
    if k < 0:
        return Fraction(0)
    if n.denominator == 1 and n >= 0:
        if n > MAX_SIZE:
            raise TooLarge
        return Fraction(math.comb(int(n), k))
    if k > 100:
        raise TooLarge
    product = Fraction(1)
    for i in range(k):
        product *= (n - i) / (i + 1)
    return product
