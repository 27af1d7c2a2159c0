"""A formula as a text, read into a SymPy expression by SymPy's constructors alone: no text is ever evaluated.

It reads what SymPy's parser with implicit multiplication reads of plain formulas: numbers, + - * / ** ^, factorials,
parentheses, sqrt and ln, names. A name is the product of its letters (`xy`, `x2`) unless it is a Greek one or has an
underscore; f(x) is f times x. Python's other syntax (attributes, strings, lists, comparisons, keywords) is refused.
"""

import re
import unicodedata
from collections.abc import Callable

import sympy

MAX_TEXT = 1000  # characters
MAX_DEPTH = 50  # of parentheses, signs and powers within each other
MAX_EXPONENT = 1000
MAX_FACTORIAL = 1000
MAX_BITS = 1 << 15  # of a power of numbers

FUNCTIONS = {"sqrt": sympy.sqrt, "ln": sympy.log, "csc": sympy.csc}
CONSTANTS = {"pi": sympy.pi}
# Names of one or two letters that mean something else in Python or in SymPy, which refuses them in a formula.
RESERVED = frozenset({
    "all", "as", "eye", "ff", "fft", "frac", "fu", "gff", "hn1", "hn2", "id", "if",
    "im", "in", "is", "jn", "li", "nan", "ntt", "oo", "or", "re", "rf", "yn", "zoo",
})  # fmt: skip

_TOKEN = re.compile(
    r"[ \t\r\n\f]*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE](?P<exponent>[+-]?[0-9]+))?)"
    r"|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|[-+*/^()!]))"
)
_PART = re.compile(r"[0-9]+|.")


class NotAFormula(ValueError):
    """The text is no formula of this grammar, or it is too large."""


def read(text: str) -> sympy.Expr:
    """The expression that a text means. Raises NotAFormula; takes time and memory bounded by the constants above."""
    if len(text) > MAX_TEXT:
        raise NotAFormula("too long")
    reader = _Reader(_tokens(text))
    value = reader.sum()
    if reader.next is not None:
        raise NotAFormula(f"{reader.next!r} is not expected here")
    return value


def exact(value: sympy.Basic) -> sympy.Basic:
    """The expression with its decimals as fractions: sympy, which does that first, writes and reads texts for it."""
    return value.xreplace({number: sympy.Rational(str(number)) for number in value.atoms(sympy.Float)})


Token = str | sympy.Expr | Callable[[sympy.Expr], sympy.Expr]


def _tokens(text: str) -> list[Token]:
    """Signs as text, operands as expressions, functions as what builds them."""
    tokens: list[Token] = []
    text, end = text.rstrip(" \t\r\n\f"), 0
    while end < len(text):
        token = _TOKEN.match(text, end)
        if token is None:
            raise NotAFormula(f"{text[end]!r} belongs to no formula")
        end = token.end()
        if number := token["number"]:
            if abs(int(token["exponent"] or 0)) > MAX_EXPONENT:
                raise NotAFormula("too large")
            tokens.append(_number(number))
        elif name := token["name"]:
            tokens += _names(name)
        else:
            tokens.append("**" if token["sign"] == "^" else token["sign"])
    return tokens


def _number(digits: str) -> sympy.Number:
    return sympy.Integer(int(digits)) if digits.isdigit() else sympy.Float(digits)


def _names(name: str) -> list[Token]:
    if name in RESERVED or unicodedata.normalize("NFKC", name) != name:  # Python reads one letter for another there
        raise NotAFormula(f"{name!r} is no name of a formula")
    if name in FUNCTIONS:
        return [FUNCTIONS[name]]
    if name in CONSTANTS:
        return [CONSTANTS[name]]
    if "_" in name or _is_greek(name):
        return [sympy.Symbol(name)]
    return [_number(part) if part.isascii() and part.isdigit() else sympy.Symbol(part) for part in _PART.findall(name)]


def _is_greek(name: str) -> bool:
    try:
        return bool(unicodedata.lookup(f"GREEK SMALL LETTER {name}"))
    except KeyError:
        return False


class _Reader:
    """A recursive descent with Python's precedence; a product without a sign binds as one with it: 1/2x is x/2."""

    def __init__(self, tokens: list[Token]):
        self.tokens, self.depth = [*tokens, None], 0

    @property
    def next(self) -> Token | None:
        return self.tokens[0]

    def take(self, *signs: str) -> str | None:
        """The next token where it is one of these signs."""
        return self.tokens.pop(0) if isinstance(self.next, str) and self.next in signs else None

    def sum(self) -> sympy.Expr:
        value = self.product()
        while sign := self.take("+", "-"):
            value = value + self.product() if sign == "+" else value - self.product()
        return value

    def product(self) -> sympy.Expr:
        value = self.factor()
        while True:
            if sign := self.take("*", "/"):
                value = value * self.factor() if sign == "*" else value / self.factor()
            elif self.at_operand():
                value = value * self.power()
            else:
                return value

    def at_operand(self) -> bool:
        return self.next == "(" or not (self.next is None or isinstance(self.next, str))

    def factor(self) -> sympy.Expr:
        """A power with signs before it: -x**2 is -(x**2)."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotAFormula("too deep")
        sign = self.take("+", "-")
        value = self.factor() if sign else self.power()
        self.depth -= 1
        return -value if sign == "-" else value

    def power(self) -> sympy.Expr:
        base = self.operand()
        while self.take("!"):
            base = _factorial(base)
        return _power(base, self.factor()) if self.take("**") else base

    def operand(self) -> sympy.Expr:
        if self.take("("):
            value = self.sum()
            if not self.take(")"):
                raise NotAFormula("a parenthesis is not closed")
            return value
        if not self.at_operand():
            raise NotAFormula("an operand is missing")
        token = self.tokens.pop(0)
        return token if isinstance(token, sympy.Expr) else self.applied(token)

    def applied(self, function: Callable[[sympy.Expr], sympy.Expr]) -> sympy.Expr:
        """A function with its argument: sqrt(2), sqrt 2x is sqrt(2x), and ln**2(x) is the square of ln(x)."""
        if self.take("**"):
            exponent = self.operand()
            return _power(self.applied(function), exponent)
        bare, argument = self.next != "(", self.operand()
        while bare:
            if self.take("**"):
                argument = _power(argument, self.factor())
            elif self.take("*") or (self.at_operand() and self.next != "("):
                argument = argument * self.power()
            else:
                break
        return function(argument)


def _factorial(value: sympy.Expr) -> sympy.Expr:
    if isinstance(value, sympy.Number) and not 0 <= value <= MAX_FACTORIAL:
        raise NotAFormula("too large")
    return sympy.factorial(value)


def _power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    if isinstance(exponent, sympy.Number) and not abs(exponent) <= MAX_EXPONENT:
        raise NotAFormula("too large")
    bits = max(abs(base.p).bit_length(), base.q.bit_length()) if isinstance(base, sympy.Rational) else 0
    if isinstance(exponent, sympy.Rational) and bits * abs(exponent) > MAX_BITS:
        raise NotAFormula("too large")
    return sympy.Pow(base, exponent)
