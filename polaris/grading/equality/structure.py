"""A text for each value that is the same where the formulas are but for the order of sums, products and sets.

Nothing is evaluated but quotients of literals: 1+1=2 and 2+2=4 are both true, but not the same step.
"""

import dataclasses
from fractions import Fraction
from typing import Any

from polaris.grading.reading.reader import readings
from polaris.grading.reading.values import Collection, Expr, Unread, number

STRUCTURE = "formula:"  # begins the key of a text that was read whole


def key(text: str) -> str:
    """The text's key: equal for texts that are read as the same; the text itself where no rule reads it whole."""
    value = readings(text)[0]
    return text if isinstance(value, Unread) else STRUCTURE + _spelled(value)


def _spelled(value: Any) -> str:
    if isinstance(value, Expr):
        return _formula(_folded(value))
    if isinstance(value, Collection):
        return f"Collection({', '.join(sorted(map(_spelled, value.items)))})"
    if dataclasses.is_dataclass(value):
        fields = (_spelled(getattr(value, field.name)) for field in dataclasses.fields(value))
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_spelled, value))})"
    return str(value)


def _folded(expr: Expr) -> Expr:
    """Quotients of literals as literals, sums and products within their like as one, factors of 1 left out."""
    args = tuple(_folded(arg) if isinstance(arg, Expr) else arg for arg in expr.args)
    if expr.op == "pow" and args[0].op == "num" and args[0].args[0] and args[1] == number(-1):
        return number(1 / args[0].args[0])
    if expr.op == "mul" and len(args) == 2 and args[0].op == "num" and expr.args[1].op == "pow" and args[1].op == "num":
        return number(args[0].args[0] * args[1].args[0])
    if expr.op in ("add", "mul"):
        flat = [part for arg in args for part in (arg.args if arg.op == expr.op else (arg,))]
        if expr.op == "mul":
            flat = [part for part in flat if part.op != "num" or part.args[0] != 1] or [number(1)]
        return flat[0] if len(flat) == 1 else Expr(expr.op, tuple(flat))
    return Expr(expr.op, args)


def _formula(expr: Expr) -> str:
    if expr.op == "num":
        return str(Fraction(expr.args[0]))
    args = [_formula(arg) if isinstance(arg, Expr) else str(arg) for arg in expr.args]
    if expr.op in ("add", "mul"):
        args.sort()
    return f"{expr.op}({', '.join(args)})"
