r"""Intervals, unions and inequalities, read into regions of the real line."""

from collections.abc import Sequence as Seq

from polaris.grading.reading.brackets import braces_around, matching, split
from polaris.grading.reading.expressions import parse_expression
from polaris.grading.reading.tokens import Token, Unreadable, spell
from polaris.grading.reading.values import INFINITY, Chain, Expr, Region, negative, parts, symbols

Tokens = tuple[Token, ...]
_MIRRORED = {">": "<", ">=": "<="}
_RELATIONS = frozenset({"<", "<=", ">", ">=", "!="})
_BETWEEN = {"cup": "or", "cap": "and", "setminus": "minus"}
REALS = ("piece", negative(INFINITY), False, INFINITY, False)


def relation(tokens: Tokens) -> Region | Chain | None:
    """An inequality, single or as a chain; None where the tokens are none. Raises Unreadable."""
    sides, ops, depth, start = [], [], 0, 0
    for place, token in enumerate(tokens):
        depth += (token.kind in ("(", "[", "{", r"\{", "begin")) - (token.kind in (")", "]", "}", r"\}", "end"))
        if depth == 0 and token.kind in _RELATIONS:
            sides.append(tokens[start:place])
            ops.append(token.kind)
            start = place + 1
    if not ops:
        return None
    exprs = [parse_expression(side) for side in (*sides, tokens[start:])]
    if len(ops) > 1 and "!=" in ops or {">", ">="} & set(ops) and {"<", "<="} & set(ops):
        raise Unreadable("a chain in two directions")
    if ops[0] in _MIRRORED:
        exprs, ops = exprs[::-1], [_MIRRORED[op] for op in reversed(ops)]
    names = symbols(*exprs)
    if not names:
        raise Unreadable("an inequality without a variable")
    if len(names) > 1:
        return Chain(tuple(exprs), tuple(ops))
    pairs = [_simple(op, *exprs[i : i + 2]) for i, op in enumerate(ops)]
    return Region(next(iter(names)), pairs[0] if len(pairs) == 1 else ("and", *pairs))


def _simple(op: str, left: Expr, right: Expr) -> tuple[object, ...]:
    """The interval of a bare variable and a number; another relation as it is."""
    if left.op == "sym" and not symbols(right):
        if op == "!=":
            return ("minus", REALS, point(right))
        return ("piece", negative(INFINITY), False, right, op == "<=")
    if right.op == "sym" and not symbols(left):
        if op == "!=":
            return ("minus", REALS, point(left))
        return ("piece", left, op == "<=", INFINITY, False)
    return ("relation", op, left, right)


def point(expr: Expr) -> tuple[object, ...]:
    return ("piece", expr, True, expr, True)


def region(tokens: Tokens, interval: bool) -> Region | None:
    r"""An interval, \mathbb{R}, the empty set, or a union, intersection or difference of such; None for anything else.

    interval: whether (1,2) is one. Raises Unreadable.
    """
    operands, ops, depth, start = [], [], 0, 0
    for place, token in enumerate(tokens):
        if token.kind == "cmd" and token.text in _BETWEEN and depth == 0:
            operands.append(tokens[start:place])
            ops.append(_BETWEEN[token.text])
            start = place + 1
        opening = token.kind in ("(", r"\{", "{") or token.kind in ("[", "]") and place == start
        closing = token.kind in (")", r"\}", "}") or token.kind in ("[", "]") and place != start
        depth += opening - closing
    if not ops:
        return _set(tokens, interval)
    operands.append(tokens[start:])
    trees = []
    for operand in operands:
        if not operand or (found := _set(operand, True) or _points(operand)) is None:
            raise Unreadable("a set that is none")
        trees.append(found.tree)
    tree = trees[0]
    for op, right in zip(ops, trees[1:], strict=True):
        tree = (op, tree, right)
    return Region(None, tree)


def _set(tokens: Tokens, interval: bool) -> Region | None:
    if len(tokens) == 1 and tokens[0].kind == "cmd":
        if tokens[0].text == "mathbbR":
            return Region(None, REALS)
        if tokens[0].text == "emptyset":
            return Region(None, ("or",))
    opening, closing = tokens[0].kind, tokens[-1].kind
    if len(tokens) < 5 or opening not in ("(", "[", "]") or closing not in (")", "]", "["):
        return None
    low_closed, high_closed = opening == "[", closing == "]"
    if opening == "(" and closing == ")" and matching(tokens, 0) != len(tokens) - 1:
        return None
    ends = split(tokens[1:-1], words=False)[0]
    if len(ends) != 2:
        return None
    try:
        low, high = parse_expression(ends[0]), parse_expression(ends[1])
    except Unreadable:
        return None
    if any(part.op in ("pm", "mp") for end in (low, high) for part in parts(end)):
        return None
    endless = INFINITY in (low, high) or negative(INFINITY) in (low, high)
    if opening == "(" and closing == ")" and not (interval or endless):
        return None
    if low == negative(INFINITY) and low_closed or high == INFINITY and high_closed:
        raise Unreadable("infinity is no number")
    if low.op == high.op == "num" and low.args[0] >= high.args[0]:
        return None
    return Region(None, ("piece", low, low_closed, high, high_closed))


def _points(tokens: Tokens) -> Region | None:
    r"""\{1,2\} among intervals."""
    inner = braces_around(tokens)
    if inner is None:
        return None
    return Region(None, ("or", *(point(parse_expression(each)) for each in split(inner, words=False)[0])))


def builder(left: Tokens, right: Tokens) -> Region:
    r"""\{x \mid x>2\}, \{x \in \mathbb{R} : x>2\}. Raises Unreadable."""
    if spell(left[1:]) not in ("", r"\in\mathbbR"):
        raise Unreadable("a set of what is no real number")
    found = relation(right)
    if not isinstance(found, Region) or found.name != spell(left[:1]):
        raise Unreadable("a condition on another variable")
    return Region(None, found.tree)


def union_or_intersection(items: Seq[Region], joint: str) -> Region | None:
    """Conditions on one variable as one; with commas only where one excludes a point. None where it is left open."""
    names = {item.name for item in items}
    if len(names) != 1 or joint == "," and not any(item.tree[0] == "minus" for item in items):
        return None
    return Region(names.pop(), ("or" if joint == "or" else "and", *(item.tree for item in items)))
