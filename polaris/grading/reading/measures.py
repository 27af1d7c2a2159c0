"""Answers beside formulas: quantities, dates, clock times, ratios, based numerals, words. Each reader takes an item's
tokens and returns its value, or None where the tokens are something else.
"""

from collections.abc import Sequence as Seq
from fractions import Fraction

from polaris.grading.reading.calls import TRIGONOMETRY
from polaris.grading.reading.expressions import parse_expression
from polaris.grading.reading.tokens import Token, Unreadable
from polaris.grading.reading.units import parse_unit
from polaris.grading.reading.values import (
    Based,
    Clock,
    Compound,
    Date,
    Expr,
    Formula,
    Quantity,
    Ratio,
    Words,
    number,
    parts,
)

Tokens = tuple[Token, ...]

_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = (_MONTH_NAMES.split(), [name[:3] for name in _MONTH_NAMES.split()])
_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ORDINALS = frozenset({"st", "nd", "rd", "th"})
_SCALES = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "万": 10**4, "亿": 10**8,
}  # fmt: skip
_NUMBER_NAMES = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
"""
_NUMBERS = {name: value for value, name in enumerate(_NUMBER_NAMES.split())}
_NUMBERS |= {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SAME_WORDS = {
    "no solutions": "no solution", "there is no solution": "no solution", "there are no solutions": "no solution",
    "dne": "does not exist", "doesn't exist": "does not exist",
    "all reals": "all real numbers", "real numbers": "all real numbers", "any real number": "all real numbers",
    "infinite": "infinitely many", "infinitely many solutions": "infinitely many", "undef": "undefined",
}  # fmt: skip
_FAMILIES = (
    ("year", "month", "week", "day", "h", "min", "s"), ("mile", "yard", "ft", "inch"), ("km", "m", "cm", "mm"),
    ("kg", "g"), ("lb", "oz"), ("$", "cent"), ("gallon", "quart", "pint"),
)  # fmt: skip
MAX_BASE = 36
LONGEST_UNIT = 30  # tokens


def expression(tokens: Tokens) -> Expr | None:
    try:
        return parse_expression(tokens)
    except Unreadable:
        return None


def quantity(tokens: Tokens, letters: bool) -> Formula | Quantity | None:
    """A formula with a unit behind it, money before it, or a scale: 5 million.

    letters: whether a single bare letter behind a blank is a unit
    """
    if tokens[0].kind == "money" and len(tokens) > 1:
        inner = scaled(tokens[1:])
        return None if inner is None else Quantity(inner, ((tokens[0].text, 1),))
    if tokens[0].kind == "-" and len(tokens) > 2 and tokens[1].kind == "money":
        return quantity((tokens[1], tokens[0], *tokens[2:]), letters)
    for start in range(max(1, len(tokens) - LONGEST_UNIT), len(tokens)):
        if not _may_begin_unit(tokens, start):
            continue
        found = parse_unit(tokens[start:])
        if found is None or found[1] and not letters:
            continue
        expr = scaled(tokens[:start])
        if expr is None or found[0] and found[0][0][0][:1] == "°" and _has_angles(expr):
            continue
        return Quantity(expr, found[0], found[1]) if found[0] else None
    return None


def _may_begin_unit(tokens: Tokens, at: int) -> bool:
    token = tokens[at]
    if token.kind == "word":
        return tokens[at - 1].kind not in ("word", "/", "*", "-", "+") or token.style == "text"
    return token.kind in ("%", "money") or token.kind == "^" or token.kind == "cmd" and token.text in (
        "degree", "Omega"
    )  # fmt: skip


def _has_angles(expr: Expr) -> bool:
    return any(part.op in TRIGONOMETRY or part == Expr("const", ("deg",)) for part in parts(expr))


def scaled(tokens: Tokens) -> Expr | None:
    """A formula, or a number with words for powers of ten behind it."""
    last = tokens[-1]
    factor = _SCALES.get(last.text.casefold()) if last.kind == "word" and len(tokens) > 1 else None
    if factor is None:
        if len(tokens) == 1 and tokens[0].text.casefold() in _NUMBERS:
            return number(_NUMBERS[tokens[0].text.casefold()])
        return expression(tokens)
    inner = scaled(tokens[:-1])
    return None if inner is None or inner.op not in ("num", "mul") else Expr("mul", (inner, number(factor)))


def ordinal(tokens: Tokens) -> Formula | None:
    """12th, 12^{th}: the number."""
    bare = tuple(token for token in tokens[1:] if token.kind not in ("^", "{", "}"))
    if tokens[0].kind == "num" and tokens[0].text.isdigit() and len(bare) == 1 and bare[0].text in _ORDINALS:
        return Formula(number(int(tokens[0].text)))
    return None


def compound(tokens: Tokens) -> Compound | None:
    """5 minutes 30 seconds: at each number behind a word a new quantity begins."""
    starts = [0, *(i for i in range(1, len(tokens)) if tokens[i].kind == "num" and tokens[i - 1].kind == "word")]
    if len(starts) < 2:
        return None
    ends = [*starts[1:], len(tokens)]
    found = [quantity(tokens[start:end], letters=True) for start, end in zip(starts, ends, strict=True)]
    return joined([each for each in found if isinstance(each, Quantity)], len(starts))


def joined(quantities: Seq[Quantity], count: int) -> Compound | None:
    """Quantities as one, where they are `count`, of one kind, and go from large units to small ones."""
    if len(quantities) != count or any(len(each.unit) != 1 or each.unit[0][1] != 1 for each in quantities):
        return None
    names = [each.unit[0][0] for each in quantities]
    for family in _FAMILIES:
        if all(name in family for name in names):
            places = [family.index(name) for name in names]
            if places == sorted(set(places)):
                return Compound(tuple(Quantity(each.expr, each.unit) for each in quantities))
    return None


def clock(tokens: Tokens) -> Clock | None:
    """6:30, 6:30 p.m., 6 PM."""
    half, rest = "", tokens
    words = "".join(token.text for token in tokens if token.kind in ("word", ".")).replace(".", "").casefold()
    if words in ("am", "pm"):
        half, rest = words, tuple(token for token in tokens if token.kind not in ("word", "."))
    texts = [token.text for token in rest]
    if texts[1::2] != [":"] * (len(texts) // 2) or not 1 <= len(texts) <= 5 or len(texts) % 2 == 0:
        return None
    numbers = texts[::2]
    if not all(text.isdigit() and len(text) <= 2 for text in numbers) or any(len(text) != 2 for text in numbers[1:]):
        return None
    if len(numbers) == 1 and not half:
        return None
    hour, minute, second = (*map(int, numbers), 0, 0)[:3]
    if hour > 24 or half and not 1 <= hour <= 12 or minute > 59 or second > 59:
        return None
    return Clock(hour, minute, second, half)


def date(tokens: Tokens) -> Date | None:
    """June 20, 20 June 2021, June 20th."""
    words = [t.text for t in tokens if t.kind not in (",", ".") and t.text not in (*_ORDINALS, "of", "the")]
    if not 2 <= len(words) <= 3 or any(token.kind not in ("word", "num", ",", ".") for token in tokens):
        return None
    names = [names.index(word.casefold()) + 1 for word in words for names in _MONTHS if word.casefold() in names]
    numbers = [int(word) for word in words if word.isdigit() and len(word) <= 4]
    if not names or len(numbers) != len(words) - 1 or words[-1].casefold() in _MONTHS[0] and len(words) == 3:
        return None
    day, year = numbers[0], numbers[1] if len(numbers) == 2 else None
    return Date(names[0], day, year) if 1 <= day <= _DAYS[names[0]] else None


def ratio(tokens: Tokens) -> Formula | Ratio | None:
    """3:4:5; two parts are a quotient."""
    sides, depth = [[]], 0
    for token in tokens:
        depth += (token.kind in ("(", "{", "[")) - (token.kind in (")", "}", "]"))
        if depth == 0 and (token.kind == ":" or token.kind == "word" and token.text == "to"):
            sides.append([])
        else:
            sides[-1].append(token)
    if len(sides) < 2 or any(len(side) == 1 and len(side[0].text) > 1 and side[0].text[0] == "0" for side in sides):
        return None
    found = [expression(tuple(side)) for side in sides]
    exprs = [expr for expr in found if expr is not None]
    if len(exprs) != len(sides):
        return None
    if len(exprs) == 2:
        return Formula(Expr("mul", (exprs[0], Expr("pow", (exprs[1], number(-1))))))
    return Ratio(tuple(exprs))


def based(tokens: Tokens) -> Based | None:
    r"""1101_2, (1101)_2, 2516_{\text{eight}}, 17_b, 1101 base 2. Raises Unreadable for a digit that the base lacks."""
    tokens = tuple(token for token in tokens if token.kind not in ("{", "}"))
    if len(tokens) < 3:
        return None
    *numeral, mark, base = tokens
    if numeral and numeral[0].kind == "-":
        sign, numeral = "-", numeral[1:]
    else:
        sign = ""
    if mark.kind == "word" and mark.text.casefold() == "base":
        if base.kind != "num":
            return None
    elif mark.kind != "_":
        return None
    if len(numeral) > 2 and numeral[0].kind == "(" and numeral[-1].kind == ")":
        numeral = numeral[1:-1]
    digits = "".join(token.text for token in numeral)
    if not any(token.kind == "num" for token in numeral) or not all(
        token.kind == "num" or token.kind == "word" and token.text.isupper() and token.style != "text"
        for token in numeral
    ):
        return None
    name = str(_NUMBERS.get(base.text.casefold(), base.text))
    if name.isdigit() and (not 2 <= int(name) <= MAX_BASE or any(
        int(digit, 36) >= int(name) for digit in digits if digit != "."
    )):  # fmt: skip
        raise Unreadable("a digit that its base has not got")
    return Based(sign + digits.lstrip("0"), name) if name.isdigit() or len(name) == 1 and name.isalpha() else None


def words(tokens: Tokens) -> Words | Formula | None:
    """A text of words alone; a number's word is the number."""
    if any(token.kind not in ("word", "-", ".", ",", "'", '"') for token in tokens):
        return None
    if len(tokens) == 1 and len(tokens[0].text) == 1:
        return None
    parts_, text = [], ""
    for token in tokens:
        if token.kind == "word":
            short = len(token.text) < 3 and token.text.isupper() and token.text != "NO"
            word = token.text if short else token.text.casefold()
            text += (" " if token.blank and text else "") + word
            parts_.append(token.text.casefold())
        elif token.kind == "-":
            text += "-"
        elif token.kind == ",":
            text += ","
    if len(parts_) == 1 and parts_[0] in _NUMBERS:
        return Formula(number(_NUMBERS[parts_[0]]))
    if parts_[:1] in (["minus"], ["negative"]) and len(parts_) == 2 and parts_[1] in _NUMBERS:
        return Formula(number(-_NUMBERS[parts_[1]]))
    for article in ("the ", "a ", "an "):
        text = text.removeprefix(article)
    return Words(_SAME_WORDS.get(text, text)) if parts_ else None


def negative_word(tokens: Tokens) -> Formula | None:
    """negative 5."""
    if len(tokens) > 1 and tokens[0].text.casefold() in ("negative", "minus") and tokens[1].kind == "num":
        expr = expression(tokens[1:])
        return None if expr is None else Formula(Expr("mul", (number(Fraction(-1)), expr)))
    return None
