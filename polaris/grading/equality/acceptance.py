r"""When a gold accepts an answer: the same value, or one that says more or less than the gold (docs/reward.md).

What may be left out or be there besides: a unit, a name, a percent sign, a choice's letter, a base, a set's braces.
"""

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

from polaris.grading.equality import arithmetic
from polaris.grading.equality.exact import Effort, TooLarge
from polaris.grading.equality.sameness import Sameness
from polaris.grading.reading.reader import readings
from polaris.grading.reading.values import (
    Assignments,
    Based,
    Choice,
    Clock,
    Collection,
    Equation,
    Expr,
    Formula,
    Named,
    Quantity,
    Region,
    Residue,
    Sequence,
    Unread,
    Value,
    Words,
    number,
    parts,
    symbols,
)  # fmt: skip

PERCENT, DEGREE = (("%", 1),), (("°", 1),)
_CONSTANT = re.compile(r"[Cc](?:_[0-9])?")


def equal_texts(gold: str, answer: str, reals: Any = None) -> bool:
    """Whether the answer is right: any reading of either, or both first ones where both are open.

    reals: the module reals.py, in a process that may compute real numbers; Undecided may be raised without it
    """
    golds, answers = readings(gold), readings(answer)
    comparison = Acceptance(Effort(reals))
    pairs = [(g, a) for g in golds for a in answers]
    if len(golds) > 1 and len(answers) > 1:
        del pairs[1:]
    try:
        return any(comparison.accepts(g, a) for g, a in pairs)
    except TooLarge:
        return False


class Acceptance(Sameness):
    def accepts(self, gold: Value, answer: Value) -> bool:
        """Whether a gold accepts an answer: the same value, or the same but for what may be left out."""
        if self.same(gold, answer):
            return True
        if isinstance(gold, Unread) or isinstance(answer, Unread):
            return False
        if isinstance(gold, Choice) or isinstance(answer, Choice):
            return self.accepts_choice(gold, answer)
        if isinstance(gold, Quantity) or isinstance(answer, Quantity):
            return self.accepts_unit(gold, answer)
        if isinstance(gold, Formula) and isinstance(answer, Formula):
            return _same_constant(self, gold.expr, answer.expr) or _same_letter(gold.expr, answer.expr)
        named = Named | Equation | Assignments
        if isinstance(gold, named) or isinstance(answer, named):
            return self.accepts_name(gold, answer)
        if isinstance(gold, Words) or isinstance(answer, Words):
            return _letters(gold) == _letters(answer) != ""
        if isinstance(gold, Based) and isinstance(answer, Formula):
            return answer.expr.op == "num" and _digits(answer.expr) == gold.digits
        if isinstance(gold, Clock) and isinstance(answer, Clock):
            return not gold.half and Clock(answer.hour, answer.minute, answer.second, "") == gold
        if isinstance(gold, Collection) or isinstance(answer, Collection):
            return self.accepts_collection(gold, answer)
        if isinstance(gold, Sequence) and isinstance(answer, Sequence):
            return self.in_order(gold.items, answer.items, self.accepts)
        conditions = Region | Residue
        if isinstance(gold, conditions) and isinstance(answer, conditions) and None in (gold.name, answer.name):
            return self.same(replace(gold, name=None), replace(answer, name=None))
        return False

    def accepts_choice(self, gold: Value, answer: Value) -> bool:
        """(C) 12 is C, and it is 12; c is C."""
        if isinstance(gold, Choice):
            if isinstance(answer, Formula) and answer.expr.op == "sym":
                return answer.expr.args[0].upper() == gold.letter
            if isinstance(answer, Choice):
                return gold.letter == answer.letter and None in (gold.content, answer.content)
            return isinstance(answer, Words) and answer.text == gold.letter.casefold()
        assert isinstance(answer, Choice)
        if isinstance(gold, Formula) and gold.expr == Expr("sym", (answer.letter,)):
            return True
        return answer.content is not None and self.accepts(gold, answer.content)

    def accepts_unit(self, gold: Value, answer: Value) -> bool:
        """A unit that one side leaves out; a percentage also of 1; an angle also in radians."""
        if isinstance(gold, Quantity) and isinstance(answer, Quantity):
            return False
        measured, bare = (gold, answer) if isinstance(gold, Quantity) else (answer, gold)
        assert isinstance(measured, Quantity)
        if isinstance(bare, Equation | Named):
            value = _value_of(bare)
            if value is None:
                return False
            return self.accepts(gold, value) if measured is gold else self.accepts(value, answer)
        if not isinstance(bare, Formula) or measured.bare:
            return False
        if self.formulas(measured.expr, bare.expr):
            return True
        if measured.unit == PERCENT:
            return self.formulas(Expr("mul", (measured.expr, number(Fraction(1, 100)))), bare.expr)
        if measured.unit == DEGREE and any(part.op == "const" for part in parts(bare.expr)):
            return self.formulas(Expr("mul", (measured.expr, Expr("const", ("deg",)))), bare.expr)
        return False

    def accepts_name(self, gold: Value, answer: Value) -> bool:
        """x=5 is 5, D=(0,1) is (0,1), x=1, y=2 is (1,2) and, of a list without an order, 2,1."""
        if isinstance(gold, Assignments) or isinstance(answer, Assignments):
            return self.accepts_assignments(gold, answer)
        if isinstance(gold, Equation) and isinstance(answer, Equation):
            return self.same_values(gold, answer)
        if isinstance(gold, Named | Equation) and isinstance(answer, Named | Equation):
            if gold.name != answer.name or gold.name is None:
                return False
            first, second = _value_of(gold), _value_of(answer)
            return first is not None and second is not None and self.accepts(first, second)
        if isinstance(gold, Named | Equation):
            value = self.settled(gold) if isinstance(gold, Equation) else gold.value
            return value is not None and gold.name is not None and self.accepts(value, answer)
        assert isinstance(answer, Named | Equation)
        if isinstance(answer, Equation):
            value = self.settled(answer)
            if value is None or answer.name is None and not _says_what_it_is(answer):
                return False
            return self.accepts(gold, value)
        return self.accepts(gold, answer.value)

    def same_values(self, gold: Equation, answer: Equation) -> bool:
        r"""S = a+b = 5 and S = 5, x = \sqrt{2} and x = \sqrt{2} \approx 1.41."""
        if gold.name != answer.name or gold.name is None:
            return False
        first, second = self.settled(gold), self.settled(answer)
        return first is not None and second is not None and self.same(first, second)

    def settled(self, equation: Equation) -> Formula | None:
        """What an equation says its left side is: the last side, where all sides but names are equal; else None."""
        left, *rest = equation.sides
        if not rest or not symbols(left) and equation.name is None:
            rest = list(equation.sides)
        numbers = [side for side in rest if not symbols(side)]
        if not all(arithmetic.is_rounding(decimal, rest[-1], self.effort) for decimal in equation.roundings):
            return None
        if numbers:
            true = not symbols(rest[-1]) and all(self.formulas(numbers[0], side) for side in numbers[1:])
            return Formula(rest[-1]) if true else None
        if equation.name is None or not all(self.formulas(rest[0], side) for side in rest[1:]):
            return None
        return None if left.op == "sym" and left.args[0] in symbols(rest[0]) else Formula(rest[0])

    def accepts_assignments(self, gold: Value, answer: Value) -> bool:
        if isinstance(gold, Assignments) and isinstance(answer, Assignments):
            first, second = ({each.name: each.value for each in side.items} for side in (gold, answer))
            return first.keys() == second.keys() and all(self.accepts(first[name], second[name]) for name in first)
        if isinstance(gold, Assignments):
            values = tuple(each.value for each in gold.items)
            if isinstance(answer, Collection | Sequence) and not (isinstance(answer, Collection) and answer.braces):
                return self.in_order(values, answer.items, self.accepts)
            return False
        assert isinstance(answer, Assignments)
        values = tuple(each.value for each in answer.items)
        if isinstance(gold, Sequence):
            return self.in_order(gold.items, values, self.accepts)
        return isinstance(gold, Collection) and self.any_order(gold, Collection(values), self.accepts)

    def accepts_collection(self, gold: Value, answer: Value) -> bool:
        """Elements as they are accepted alone; a set of one element is the element, a set of reals is its points."""
        if isinstance(gold, Collection) and isinstance(answer, Collection):
            return self.any_order(gold, answer, self.accepts)
        single, other = (gold, answer) if isinstance(gold, Collection) else (answer, gold)
        assert isinstance(single, Collection)
        if isinstance(other, Region):
            points = _points(single) if single.braces else None
            return points is not None and self.regions(Region(None, points), Region(None, other.tree))
        elements = self.distinct(list(single.items)) if single.braces else list(single.items)
        if len(elements) != 1 or not isinstance(elements[0], Formula | Quantity):
            return False
        return self.accepts(elements[0], other) if single is gold else self.accepts(other, elements[0])


def _says_what_it_is(equation: Equation) -> bool:
    """Whether an answer's equation gives a value, and no condition: 3-2=1, a+b=17, 2a+b=10+7=17, but not 2x+y=5."""
    left = equation.sides[0]
    terms = left.args if left.op == "add" else ()
    return len(equation.sides) != 2 or not symbols(left) or bool(terms) and all(term.op == "sym" for term in terms)


def _points(collection: Collection) -> tuple[Any, ...] | None:
    exprs = [each.expr for each in collection.items if isinstance(each, Formula)]
    if len(exprs) != len(collection.items):
        return None
    return ("or", *(("piece", expr, True, expr, True) for expr in exprs))


def _letters(value: Value) -> str:
    r"""Letters of a text or of a product: \text{VW} and VW."""
    if isinstance(value, Words):
        return value.text
    if isinstance(value, Formula) and value.expr.op == "mul":
        factors = value.expr.args
        return "".join(arg.args[0] for arg in factors) if all(arg.op in ("sym", "const") for arg in factors) else ""
    return ""


def _value_of(value: Named | Equation) -> Value | None:
    if isinstance(value, Named):
        return value.value
    return Formula(value.sides[1]) if value.name is not None and len(value.sides) == 2 else None


def _digits(literal: Expr) -> str:
    value = literal.args[0]
    if value.denominator == 1:
        return str(value)
    return ""


def _same_letter(gold: Expr, answer: Expr) -> bool:
    """A gold that is a choice's capital letter, and the small one; a symbol alone, in bold or not."""
    if not gold.op == answer.op == "sym":
        return False
    first, second = gold.args[0], answer.args[0]
    bold = f"\\vec{{{first}}}" == second or f"\\vec{{{second}}}" == first
    return bold or first in ("A", "B", "C", "D") and second == first.lower()


def _same_constant(comparison: Sameness, gold: Expr, answer: Expr) -> bool:
    """C_1 e^x and c_1 e^x: constants of integration, by their letter and beside other symbols, in either case."""
    names, others = symbols(gold), symbols(answer)
    constants = {name for name in names | others if _CONSTANT.fullmatch(name)}
    if (
        not constants
        or names == others
        or not (names | others) - constants
        or {n.upper() for n in names} != {n.upper() for n in others}
        or len({name[0] for name in names & constants}) != 1
        or len({name[0] for name in others & constants}) != 1
    ):
        return False
    if not any(part.op in ("pow", "sin", "cos", "ln") and symbols(part) - constants for part in parts(gold)):
        return False
    return comparison.formulas(_capital(gold, constants), _capital(answer, constants))


def _capital(expr: Expr, constants: set[str]) -> Expr:
    if expr.op == "sym":
        return Expr("sym", (expr.args[0].upper(),)) if expr.args[0] in constants else expr
    return Expr(expr.op, tuple(_capital(arg, constants) if isinstance(arg, Expr) else arg for arg in expr.args))
