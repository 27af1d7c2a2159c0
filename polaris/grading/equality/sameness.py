"""When two values are the same: one rule for each type. An equivalence, but for rounded decimals (arithmetic.py)."""

from collections.abc import Callable, Iterable
from typing import Any

from polaris.grading.equality import arithmetic, realline
from polaris.grading.equality.exact import Effort, Undefined
from polaris.grading.reading.values import (
    Assignments,
    Chain,
    Choice,
    Collection,
    Compound,
    Equation,
    Expr,
    Formula,
    Matrix,
    Named,
    Quantity,
    Ratio,
    Region,
    Residue,
    Sequence,
    Value,
    number,
)  # fmt: skip


class Sameness:
    """Rules by type; `effort` bounds what they compute."""

    def __init__(self, effort: Effort):
        self.effort = effort

    def same(self, a: Value, b: Value) -> bool:
        """Whether two values are the same. Reflexive, symmetric; transitive but for rounded decimals."""
        if a == b:
            return True
        if type(a) is not type(b):
            return False
        rule = _RULES.get(type(a))
        return rule is not None and rule(self, a, b)

    def formulas(self, a: Expr, b: Expr) -> bool:
        return arithmetic.equal(a, b, self.effort)

    def all_formulas(self, a: Iterable[Expr], b: Iterable[Expr]) -> bool:
        a, b = tuple(a), tuple(b)
        return len(a) == len(b) and all(map(self.formulas, a, b))

    def quantities(self, a: Quantity, b: Quantity) -> bool:
        return a.unit == b.unit and self.formulas(a.expr, b.expr)

    def compounds(self, a: Compound, b: Compound) -> bool:
        return len(a.items) == len(b.items) and all(map(self.quantities, a.items, b.items))

    def ratios(self, a: Ratio, b: Ratio) -> bool:
        first = [Expr("mul", (x, Expr("pow", (a.parts[0], number(-1))))) for x in a.parts]
        second = [Expr("mul", (x, Expr("pow", (b.parts[0], number(-1))))) for x in b.parts]
        return self.all_formulas(first, second)

    def sequences(self, a: Sequence, b: Sequence) -> bool:
        return self.in_order(a.items, b.items, self.same)

    def matrices(self, a: Matrix, b: Matrix) -> bool:
        return len(a.rows) == len(b.rows) and all(
            self.in_order(x, y, self.same) for x, y in zip(a.rows, b.rows, strict=True)
        )

    def in_order(self, a: tuple[Any, ...], b: tuple[Any, ...], rule: Callable[[Any, Any], bool]) -> bool:
        return len(a) == len(b) and all(map(rule, a, b))

    def collections(self, a: Collection, b: Collection) -> bool:
        return self.any_order(a, b, self.same)

    def any_order(self, a: Collection, b: Collection, rule: Callable[[Any, Any], bool]) -> bool:
        """Each element has its partner; within braces repeated ones count once."""
        first, second = (self.distinct(side.items) if side.braces else list(side.items) for side in (a, b))
        if len(first) != len(second):
            return False
        for element in first:
            partner = next((i for i, other in enumerate(second) if self.paired(rule, element, other)), None)
            if partner is None:
                return False
            del second[partner]
        return True

    def distinct(self, values: Iterable[Value]) -> list[Value]:
        kept: list[Value] = []
        for value in values:
            if not any(self.paired(self.same, value, other) for other in kept):
                kept.append(value)
        return kept

    def paired(self, rule: Callable[[Any, Any], bool], a: Any, b: Any) -> bool:
        self.effort.spend(10)
        return rule(a, b)

    def regions(self, a: Region, b: Region) -> bool:
        if a.name != b.name:
            return False
        if a.tree == b.tree:
            return True
        try:
            return realline.same(
                realline.normal(a.tree, self.effort), realline.normal(b.tree, self.effort), self.effort
            )
        except Undefined:
            return self.trees(a.tree, b.tree)

    def trees(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
        """The same structure, with equal formulas: for intervals between symbols."""
        return len(a) == len(b) and all(
            self.formulas(x, y) if isinstance(x, Expr) and isinstance(y, Expr)
            else self.trees(x, y) if isinstance(x, tuple) and isinstance(y, tuple) else x == y
            for x, y in zip(a, b, strict=True)
        )  # fmt: skip

    def chains(self, a: Chain, b: Chain) -> bool:
        sides = [b.sides, b.sides[::-1]] if b.ops == ("!=",) else [b.sides]
        return a.ops == b.ops and any(self.all_formulas(a.sides, each) for each in sides)

    def equations(self, a: Equation, b: Equation) -> bool:
        if a.roundings or b.roundings:
            return a.roundings == b.roundings and self.all_formulas(a.sides, b.sides)
        if len(a.sides) == len(b.sides) == 2:
            if a.name and b.name and self.all_formulas(a.sides, b.sides):
                return True
            return arithmetic.proportional((a.sides[0], a.sides[1]), (b.sides[0], b.sides[1]), self.effort)
        return self.all_formulas(a.sides, b.sides)

    def nameds(self, a: Named, b: Named) -> bool:
        return a.name == b.name and self.same(a.value, b.value)

    def assignments(self, a: Assignments, b: Assignments) -> bool:
        first, second = ({each.name: each.value for each in side.items} for side in (a, b))
        return first.keys() == second.keys() and all(self.same(first[name], second[name]) for name in first)

    def residues(self, a: Residue, b: Residue) -> bool:
        if not self.formulas(a.modulus, b.modulus) or a.name != b.name:
            return False
        first, second = (Collection(tuple(Formula(_reduced(x, side.modulus)) for x in side.values)) for side in (a, b))
        return self.collections(first, second)

    def choices(self, a: Choice, b: Choice) -> bool:
        if a.content is None or b.content is None:
            return a.letter == b.letter and a.content is b.content
        return a.letter == b.letter and self.same(a.content, b.content)


def _reduced(value: Expr, modulus: Expr) -> Expr:
    """An integer's residue; other formulas as they are."""
    if value.op == modulus.op == "num" and modulus.args[0].denominator == 1 < modulus.args[0]:
        return number(value.args[0] % modulus.args[0])
    return value


_RULES: dict[type, Callable[[Sameness, Any, Any], bool]] = {
    Formula: lambda c, a, b: c.formulas(a.expr, b.expr),
    Quantity: Sameness.quantities,
    Compound: Sameness.compounds,
    Ratio: Sameness.ratios,
    Sequence: Sameness.sequences,
    Collection: Sameness.collections,
    Matrix: Sameness.matrices,
    Region: Sameness.regions,
    Chain: Sameness.chains,
    Equation: Sameness.equations,
    Named: Sameness.nameds,
    Assignments: Sameness.assignments,
    Residue: Sameness.residues,
    Choice: Sameness.choices,
}
