"""Whether an answer is right, as far as text and exact arithmetic tell: in microseconds, and pure.

What they leave open takes real numbers, in a process that can be killed (polaris/grading/grading_pool.py).
"""

import re
from collections.abc import Sequence

from polaris.grading.answers import DIFFERENT, EQUIVALENT, EXACT, UNPARSEABLE_GOLD, normal_form
from polaris.grading.equality.acceptance import equal_texts
from polaris.grading.equality.exact import Undecided
from polaris.grading.reading.reader import MAX_ANSWER, is_read, readings
from polaris.grading.reading.values import Expr, Formula, Quantity, number, parts

_INTEGER = re.compile(r"(-?)0*([0-9]+)")
_DRESSED = re.compile(  # an integer as answers have it, whose dressing means nothing beside an integer
    r"\s*\$?\s*(?:[a-df-hj-zA-Z]\s*=\s*)?(?:\\(?:text|mathbf|boldsymbol|mathrm)\s*\{)?\s*"
    r"(-?)\+?0*([0-9]+)(?:\.0*)?\s*\}?\s*(?:\^\s*\{?\s*\\circ\s*\}?)?\s*\.?\s*\$?\s*"
)
_LITERAL = frozenset({"num", "mul"})


def compare(answer: str, golds: Sequence[str]) -> str | None:
    """The reason where text and exact arithmetic decide it, in microseconds; None where it takes real numbers.

    EXACT is the same text or number; EQUIVALENT another spelling of the same value (polaris/grading/equality.py).
    """
    if len(answer) > MAX_ANSWER:
        return EXACT if answer in golds else DIFFERENT
    if (found := _DRESSED.fullmatch(answer)) and all(others := [_INTEGER.fullmatch(gold) for gold in golds]):
        return EXACT if any(other and _signed(found) == _signed(other) for other in others) else DIFFERENT
    undecided = False
    for gold in golds:
        try:
            if equal_texts(gold, answer):
                return EXACT if _as_it_stands(gold, answer) else EQUIVALENT
        except Undecided:
            undecided = True
    if undecided:
        return None
    return DIFFERENT if any(map(is_read, golds)) else UNPARSEABLE_GOLD


def _signed(found: re.Match[str]) -> str:
    return found[1] * (found[2] != "0") + found[2]


def _is_literal(expr: Expr) -> bool:
    """A number, a product, a quotient, a power of ten."""
    return expr.op in _LITERAL or expr.op == "pow" and (expr.args[1] == number(-1) or expr.args[0] == number(10))


def _as_it_stands(gold: str, answer: str) -> bool:
    """The same text in normal form, or two numbers without roots and functions."""
    if normal_form(gold) == normal_form(answer):
        return True
    return all(
        isinstance(value, Formula | Quantity) and all(_is_literal(part) for part in parts(value.expr))
        for value in (readings(gold)[0], readings(answer)[0])
    )
