"""What an answer can be: typed values, and the formulas that they are made of. Data only; reading and comparing are
elsewhere (reader.py, equality.py).

A formula is a tree of Expr. Its operations (op: args):
    num       (value: Fraction, decimal digits: int)   a literal; digits: significant ones of a decimal, 0 of an integer
    sym       (name,)                                   a symbol, case-sensitive, with its index and accents
    const     ("pi" | "e" | "i" | "deg" | "log10e",)    deg is pi/180; infinity is ("inf")
    add, mul  (terms...)                                in the order of the text
    pow       (base, exponent)
    pm, mp    (term,)                                   plus or minus the term, and minus or plus
    f         (arguments...)                            any name of FUNCTIONS
    apply     (name, argument)                          an unknown function of it: f(x)
    sum, prod (name, first, last, body)
    lim       (name, point, body); int (name, low, high, body)   low and high None where the integral is indefinite
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class Expr:
    op: str
    args: tuple[Any, ...]


FUNCTIONS = frozenset({
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log",
    "sqrt", "abs", "floor", "ceil", "factorial", "binom", "gcd", "lcm", "max", "min", "exp", "det",
})  # fmt: skip
INFINITY = Expr("inf", ())


def number(value: int | Fraction, digits: int = 0) -> Expr:
    return Expr("num", (Fraction(value), digits))


def negative(expr: Expr) -> Expr:
    """Minus the formula; of a literal, the negative literal."""
    if expr.op == "num":
        return Expr("num", (-expr.args[0], expr.args[1]))
    return Expr("mul", (number(-1), expr))


def parts(expr: Expr) -> Iterator[Expr]:
    """The formula and all formulas within it."""
    yield expr
    for arg in expr.args:
        if isinstance(arg, Expr):
            yield from parts(arg)


def symbols(*exprs: Expr) -> frozenset[str]:
    """Names of the symbols that are not bound by a sum, product, limit or integral."""
    names: set[str] = set()
    for expr in exprs:
        if expr.op == "sym":
            names.add(expr.args[0])
        elif expr.op in ("sum", "prod", "lim", "int"):
            bound, *outer, body = expr.args
            names |= symbols(body) - {bound} if expr.op != "int" or outer[0] is not None else symbols(body)
            names |= symbols(*(part for part in outer if part is not None))
        else:
            names |= symbols(*(arg for arg in expr.args if isinstance(arg, Expr)))
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Formula:
    """A number or an expression with symbols."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Quantity:
    """A formula with a unit: units.Unit; bare: the unit is a single letter of a formula, which may be a symbol."""

    expr: Expr
    unit: tuple[tuple[str, int], ...]
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Compound:
    """2 h 30 min: quantities of one kind, from the largest unit to the smallest."""

    items: tuple[Quantity, ...]


@dataclass(frozen=True, slots=True)
class Based:
    """A numeral with its base: 52_8. The base is a number or a letter."""

    digits: str
    base: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """3:4:5, three parts at least; two parts are a quotient."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of the day, hour 0 to 24; half: "am", "pm" or ""."""

    hour: int
    minute: int
    second: int
    half: str


@dataclass(frozen=True, slots=True)
class Date:
    """A day; year None where there is none."""

    month: int
    day: int
    year: int | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A tuple, point or vector: ordered."""

    items: tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Collection:
    r"""A list without an order, or a set: 1,2 and \{1,2\}. As a set (`braces`) its elements count once each."""

    items: tuple["Value", ...]
    braces: bool = False


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of equal length."""

    rows: tuple[tuple["Value", ...], ...]


@dataclass(frozen=True, slots=True)
class Region:
    """Real numbers: an interval, a union, an inequality in one variable, or what is made of them.

    name: of the variable, or None; tree: ("piece", low, low closed, high, high closed) | ("relation", op, left, right)
        | ("or" | "and" | "minus", region trees...), op one of < <= != and, mirrored while reading, never > or >=
    """

    name: str | None
    tree: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """An inequality in several variables, a<b<=c: formulas from the smaller to the larger, ops between them."""

    sides: tuple[Expr, ...]
    ops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Equation:
    r"""Formulas that are said to be equal; name: of what the first side defines, where it does: y, f(x).

    sides: two or more, or one that has roundings; roundings: decimals behind \approx, of the last side
    """

    sides: tuple[Expr, ...]
    name: str | None
    roundings: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A value with the name of what it is: D = (0,1), x = 5, f(x) = 2x+1."""

    name: str
    value: "Value"


@dataclass(frozen=True, slots=True)
class Assignments:
    """Different names with their values, in the text's order: x=1, y=2."""

    items: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Member:
    r"""k \in \mathbb{Z}, beside a formula with k in it."""

    name: str
    set: str


@dataclass(frozen=True, slots=True)
class Residue:
    r"""x \equiv 5 \pmod 7; name None where there is none."""

    name: str | None
    values: tuple[Expr, ...]
    modulus: Expr


@dataclass(frozen=True, slots=True)
class Choice:
    """A letter of given choices, and what it stands for where the answer says so: (C) 12."""

    letter: str
    content: "Value | None"


@dataclass(frozen=True, slots=True)
class Words:
    """A text without mathematics: yes, no solution, Evelyn; in small letters, single blanks."""

    text: str


@dataclass(frozen=True, slots=True)
class Unread:
    """What no rule reads whole: it equals the same text only."""

    form: str


Value = (
    Formula | Quantity | Compound | Based | Ratio | Clock | Date | Sequence | Collection | Matrix | Region | Chain
    | Equation | Named | Assignments | Member | Residue | Choice | Words | Unread
)  # fmt: skip
