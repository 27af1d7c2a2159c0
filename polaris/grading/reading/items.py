r"""An answer's tokens -> its value: lists of items, and what a single item can be. `mode` is reader.Mode.

An item with plus-minus signs has several values (signs.py).
"""

from dataclasses import replace
from typing import Protocol

from polaris.grading.reading import measures, regions
from polaris.grading.reading.brackets import braces_around, halves, matching, split
from polaris.grading.reading.expressions import parse_expression
from polaris.grading.reading.lists import is_letter, residue, together
from polaris.grading.reading.signs import both_signs
from polaris.grading.reading.tokens import Token, Unreadable, spell
from polaris.grading.reading.units import names_unit
from polaris.grading.reading.values import (
    INFINITY,
    Assignments,
    Collection,
    Equation,
    Expr,
    Formula,
    Matrix,
    Member,
    Named,
    Region,
    Sequence,
    Value,
    Words,
    symbols,
)

Tokens = tuple[Token, ...]
MAX_ITEMS = 200


class Mode(Protocol):
    @property
    def interval(self) -> bool: ...

    @property
    def clock(self) -> bool: ...

    @property
    def letters(self) -> bool: ...


def whole(tokens: Tokens, mode: Mode) -> Value:
    """The value of all the tokens. Raises Unreadable."""
    for reader in (measures.date, measures.based, residue):
        if (found := reader(tokens)) is not None:
            return found
    spelled, separators = split(tokens)
    if len(spelled) == 1:
        values = item(tokens, mode)
        return values[0] if len(values) == 1 else together(values, "")
    if len(spelled) > MAX_ITEMS:
        raise Unreadable("too many items")
    values = [value for each in spelled for value in item(each, mode)]
    if any(token.style == "logic" for token in tokens) and any(isinstance(value, Formula) for value in values):
        raise Unreadable("a statement of logic")
    if "or" in separators and any(isinstance(v, Words) or is_letter(v) for v in values):
        raise Unreadable("a choice between words")
    return together(values, "or" if "or" in separators else "and" if "and" in separators else ",")


def item(tokens: Tokens, mode: Mode) -> list[Value]:
    """The values of one item. Raises Unreadable."""
    if not tokens:
        raise Unreadable("an item is missing")
    found = _item(tokens, mode)
    return both_signs(found)


def _item(tokens: Tokens, mode: Mode) -> Value:
    if (relation := regions.relation(tokens)) is not None:
        return relation
    sides, *roundings = split_at(tokens, "~")
    if roundings and len(exact := split_at(sides, "=")) == 1 and _is_name(sides):
        return equation([sides, *roundings], mode)
    if roundings:
        return rounded(equation(exact, mode) if len(exact) > 1 else _item(sides, mode), roundings)
    if len(sides := split_at(tokens, "=")) > 1:
        return equation(sides, mode)
    member = next((i for i, t in enumerate(tokens) if t.kind == "cmd" and t.text == "in"), 0)
    if member and tokens[0].kind == "word":
        return membership(tokens[:member], tokens[member + 1 :], mode)
    if (region := regions.region(tokens, mode.interval)) is not None:
        return region
    if (inner := braces_around(tokens)) is not None:
        return braced(inner, mode)
    if (inside := bracketed(tokens)) is not None:
        return Sequence(tuple(_single(each, mode) for each in inside))
    if tokens[0].kind == "begin" and tokens[0].text == "cases" and tokens[-1].kind == "end":
        values = [value for row in split_at(tokens[1:-1], "row") if row for value in item(row, mode)]
        return together(values, ",")
    if tokens[0].kind == "begin" and tokens[0].text != "vmatrix":
        return matrix(tokens, mode)
    if len(tokens) > 2 and tokens[0].kind in ("(", "[") and tokens[1].kind == "begin" and tokens[1].text == "array":
        return matrix(tokens[1:-1], mode)
    return simple(tokens, mode)


def simple(tokens: Tokens, mode: Mode) -> Value:
    """A number, an expression, a quantity, a time, words. Raises Unreadable."""
    readers = [measures.ordinal, measures.negative_word]
    if mode.clock:
        readers.insert(0, measures.clock)
    for reader in readers:
        if (found := reader(tokens)) is not None:
            return found
    last = tokens[-1]
    measured = (
        last.kind in ("%", "money")
        or tokens[0].kind in ("money", "-")
        or last.text == "}"
        or last.text == "Omega"
        and last.blank
        or any(token.kind == "cmd" and token.text in ("degree", "circ") for token in tokens)
        or any(token.kind == "word" and names_unit(token.text) for token in tokens)
    )
    if (mode.letters or measured) and (found := measures.quantity(tokens, mode.letters)) is not None:
        return found
    if (expr := measures.expression(tokens)) is not None:
        return Formula(expr)
    found = measures.quantity(tokens, mode.letters) or measures.compound(tokens) or measures.ratio(tokens)
    if found is None and (expr := measures.scaled(tokens)) is not None:
        found = Formula(expr)
    found = found or measures.words(tokens)
    if found == Words("infinity"):
        return Formula(INFINITY)
    if found == Words("all real numbers"):
        return Region(None, regions.REALS)
    if found is None:
        raise Unreadable("no rule reads this whole")
    return found


def _single(tokens: Tokens, mode: Mode) -> Value:
    """An element of a tuple, set or matrix: one value, whose plus-minus signs are still in it."""
    if not tokens:
        raise Unreadable("an element is missing")
    return _item(tokens, mode)


def split_at(tokens: Tokens, kind: str) -> list[Tokens]:
    """The parts between signs of one kind that stand outside all brackets."""
    sides, depth, start = [], 0, 0
    for place, token in enumerate(tokens):
        depth += (token.kind in ("(", "[", "{", r"\{", "begin")) - (token.kind in (")", "]", "}", r"\}", "end"))
        if depth == 0 and token.kind == kind:
            sides.append(tokens[start:place])
            start = place + 1
    return [*sides, tokens[start:]]


def equation(sides: list[Tokens], mode: Mode) -> Value:
    """x=5, y=2x+1, a+b=10+7=17, (x,y)=(1,2), D=(0,1)."""
    if not all(sides):
        raise Unreadable("a side is missing")
    if (names := bracketed(sides[0])) is not None and len(sides) == 2:
        return _simultaneous([spell(name) for name in names], whole(sides[1], mode))
    left = measures.expression(sides[0])
    name = _name(sides[0], left)
    values = [item(side, mode) for side in sides[1:]]
    exprs = [value[0].expr for value in values if len(value) == 1 and isinstance(value[0], Formula)]
    if left is not None and len(exprs) == len(values):
        return Equation((left, *exprs), name)
    if len(values) != 1 or not (name or left is not None and symbols(left)):
        raise Unreadable("an equation of what is no formula")
    (several,) = values
    value = several[0] if len(several) == 1 else Collection(tuple(several))
    return Named(name or spell(sides[0]), value)


def rounded(value: Value, roundings: list[Tokens]) -> Equation:
    r"""\sqrt{2} \approx 1.414: the exact value, and decimals that must be its roundings."""
    decimals = tuple(parse_expression(each) for each in roundings)
    if any(each.op != "num" for each in decimals) or not isinstance(value, Formula | Equation):
        raise Unreadable("a rounding that is no decimal")
    return Equation((value.expr,), None, decimals) if isinstance(value, Formula) else replace(value, roundings=decimals)


def _is_name(tokens: Tokens) -> bool:
    left = measures.expression(tokens)
    return _name(tokens, left) is not None or left is not None and bool(symbols(left))


def _simultaneous(names: list[str], value: Value) -> Value:
    if isinstance(value, Sequence) and len(value.items) == len(names):
        pairs = zip(names, value.items, strict=True)
        return Assignments(tuple(Named(name, each) for name, each in pairs))
    if isinstance(value, Collection) and all(isinstance(each, Sequence) for each in value.items):
        return value
    raise Unreadable("names and values differ in number")


def _name(tokens: Tokens, left: Expr | None) -> str | None:
    """What the left side of an equation names: x, a_n, f(x), P(A), AB, |AB|, an angle; None for other formulas."""
    first, rest = tokens[0], tokens[1:]
    if left is not None and left.op in ("sym", "apply"):
        return spell(tokens)
    if left is not None and left.op == "abs" and left.args[0].op in ("sym", "mul"):
        return spell(tokens)
    if first.text == "m" and rest and rest[0].text == "angle":
        return spell(rest)
    if first.kind == "word":
        called = len(rest) > 2 and rest[0].kind == "(" and matching(tokens, 1) == len(tokens) - 1
        if called and len(first.text) == 1 or not rest and (first.text.isupper() or first.style == "text"):
            return spell(tokens)
        if all(token.kind == "word" and token.style == "text" for token in tokens):
            return spell(tokens)
    return None


def membership(left: Tokens, right: Tokens, mode: Mode) -> Value:
    r"""x \in [0,1], k \in \mathbb{Z}."""
    name = spell(left)
    if (region := regions.region(right, True)) is not None:
        return Region(name, region.tree)
    if (inner := braces_around(right)) is not None:
        return Named(name, braced(inner, mode))
    if len(right) == 1 and right[0].kind == "cmd" and right[0].text.startswith("mathbb"):
        return Member(name, right[0].text)
    raise Unreadable("a set that is none")


def braced(inner: Tokens, mode: Mode) -> Value:
    r"""\{1,2\}, \{x \mid x>2\}, \{\}."""
    if not inner:
        return Region(None, ("or",))
    if (builder := halves(inner)) is not None:
        return regions.builder(*builder)
    elements = [value for each in split(inner, words=False)[0] for value in item(each, mode)]
    return Collection(tuple(elements), braces=True)


def bracketed(tokens: Tokens) -> list[Tokens] | None:
    """The elements of a tuple: (1,2), <1,2>, or [1,2,3], which no interval is."""
    opening = tokens[0].kind
    if opening not in ("(", "<(", "[") or matching(tokens, 0) != len(tokens) - 1:
        return None
    elements = split(tokens[1:-1], words=False)[0]
    fewest = 3 if opening == "[" else 2
    return elements if len(elements) >= fewest else None


def matrix(tokens: Tokens, mode: Mode) -> Matrix:
    """Rows of elements. Raises Unreadable."""
    if tokens[-1].kind != "end" or tokens[0].text not in ("pmatrix", "bmatrix", "matrix", "array", "smallmatrix"):
        raise Unreadable("no matrix")
    rows: list[list[Value]] = []
    for row in split_at(tokens[1:-1], "row"):
        if row:
            rows.append([_single(cell, mode) for cell in split_at(row, "&")])
    if not rows or len({len(row) for row in rows}) != 1:
        raise Unreadable("rows of a matrix differ in length")
    return Matrix(tuple(tuple(row) for row in rows))
