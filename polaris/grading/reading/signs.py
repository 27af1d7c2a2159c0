r"""Values with \pm and \mp in them: both signs, together where there is one \pm or any \mp, else each for itself."""

import itertools
from collections.abc import Iterator

from polaris.grading.reading.tokens import Unreadable
from polaris.grading.reading.values import (
    Chain,
    Collection,
    Compound,
    Equation,
    Expr,
    Formula,
    Quantity,
    Region,
    Sequence,
    Value,
    negative,
    parts,
)  # fmt: skip

MAX_SIGNS = 4  # in one item


def both_signs(value: Value) -> list[Value]:
    """The value once for each choice of its signs."""
    exprs = list(_exprs(value))
    signs = [part.op for expr in exprs for part in parts(expr) if part.op in ("pm", "mp")]
    if not signs:
        return [value]
    if len(signs) > MAX_SIGNS or isinstance(value, Region | Chain | Compound | Collection):
        raise Unreadable("plus-minus signs without a meaning")
    if "mp" in signs or len(signs) == 1:
        choices = [tuple(sign if op == "pm" else -sign for op in signs) for sign in (1, -1)]
    else:
        choices = list(itertools.product((1, -1), repeat=len(signs)))
    return list(dict.fromkeys(_signed(value, iter(choice)) for choice in choices))


def _exprs(value: Value) -> Iterator[Expr]:
    if isinstance(value, Formula | Quantity):
        yield value.expr
    elif isinstance(value, Sequence):
        for each in value.items:
            yield from _exprs(each)
    elif isinstance(value, Equation):
        yield from value.sides


def _signed(value: Value, choice: Iterator[int]) -> Value:
    if isinstance(value, Formula):
        return Formula(_with_signs(value.expr, choice))
    if isinstance(value, Quantity):
        return Quantity(_with_signs(value.expr, choice), value.unit, value.bare)
    if isinstance(value, Sequence):
        return Sequence(tuple(_signed(each, choice) for each in value.items))
    if isinstance(value, Equation):
        return Equation(tuple(_with_signs(side, choice) for side in value.sides), value.name)
    return value


def _with_signs(expr: Expr, choice: Iterator[int]) -> Expr:
    if expr.op in ("pm", "mp"):
        sign = next(choice)
        inner = _with_signs(expr.args[0], choice)
        return inner if sign > 0 else negative(inner)
    if not any(part.op in ("pm", "mp") for part in parts(expr)):
        return expr
    return Expr(expr.op, tuple(_with_signs(a, choice) if isinstance(a, Expr) else a for a in expr.args))
