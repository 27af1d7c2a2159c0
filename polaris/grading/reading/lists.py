"""Values that were read one by one, as one: lists, conditions that belong together, names with values, residues."""

from polaris.grading.reading import measures, regions
from polaris.grading.reading.brackets import split
from polaris.grading.reading.expressions import parse_expression
from polaris.grading.reading.tokens import Token, spell
from polaris.grading.reading.values import (
    Assignments,
    Collection,
    Equation,
    Formula,
    Named,
    Quantity,
    Region,
    Residue,
    Value,
)  # fmt: skip

Tokens = tuple[Token, ...]


def together(values: list[Value], joint: str) -> Value:
    """Items of a list as one value."""
    if all(isinstance(value, Region) for value in values):
        union = regions.union_or_intersection([v for v in values if isinstance(v, Region)], joint)
        if union is not None:
            return union
    quantities = [value for value in values if isinstance(value, Quantity)]
    if joint == "and" and (compound := measures.joined(quantities, len(values))) is not None:
        return compound
    named = [_definition(value) for value in values]
    if named[0] is not None:
        if all(each is None and isinstance(v, Formula) for each, v in zip(named[1:], values[1:], strict=True)):
            return Named(named[0].name, Collection((named[0].value, *values[1:])))
        definitions = [each for each in named if each is not None]
        if len(definitions) == len(values):
            names = {each.name for each in definitions}
            if len(names) == 1:
                return Named(names.pop(), Collection(tuple(each.value for each in definitions)))
            if len(names) == len(definitions):
                return Assignments(tuple(definitions))
    return Collection(tuple(values))


def _definition(value: Value) -> Named | None:
    """x=5 as a name and its value."""
    if isinstance(value, Named):
        return value
    if isinstance(value, Equation) and value.name is not None and len(value.sides) == 2:
        return Named(value.name, Formula(value.sides[1]))
    return None


def is_letter(value: Value) -> bool:
    return isinstance(value, Formula) and value.expr.op == "sym" and len(value.expr.args[0]) == 1


def residue(tokens: Tokens) -> Residue | None:
    r"""x \equiv 1, 2 \pmod 4."""
    at = next((i for i, t in enumerate(tokens) if t.kind == "cmd" and t.text in ("pmod", "mod") or t.text == "mod"), 0)
    if not at:
        return None
    left, right = tokens[:at], tokens[at + 1 :]
    if left[-1].kind == "(" and right and right[-1].kind == ")":
        left, right = left[:-1], right[:-1]
    equivalence = next((i for i, token in enumerate(left) if token.text == "equiv" or token.kind == "="), None)
    name = None
    if equivalence is not None:
        name, left = spell(left[:equivalence]), left[equivalence + 1 :]
    values = tuple(parse_expression(each) for each in split(left)[0])
    return Residue(name, values, parse_expression(right))
