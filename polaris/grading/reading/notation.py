r"""The rarer notation of formulas: names with indices and accents, repeating decimals, mixed numbers, sums, limits,
integrals, determinants. The base of expressions.Parser, whose methods for operands it calls.
"""

import re
from fractions import Fraction

from polaris.grading.reading.tokens import Token, Unreadable, spell
from polaris.grading.reading.values import Expr

MAX_DEPTH = 60  # of groups and operands within each other
_ABOVE = re.compile(r"(?:d|\\partial)(?:\^\{?[0-9]\}?)?\\?[A-Za-z]+'*(?:_\w+)?")
_BELOW = re.compile(r"(?:d|\\partial)\\?[A-Za-z]+(?:\^\{?[0-9]\}?)?")
MAX_MATRIX = 6  # rows of a determinant


class Cursor:
    """A place in a list of tokens."""

    def __init__(self, tokens: tuple[Token, ...]):
        self.tokens, self.at, self.depth, self.bars = list(tokens), 0, 0, 0
        self.bound: set[str] = set()

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def kind(self) -> str:
        return self.tokens[self.at].kind if self.at < len(self.tokens) else ""

    def command(self, *names: str) -> str | None:
        """The next token's name where it is one of these commands."""
        token = self.peek()
        return token.text if token is not None and token.kind == "cmd" and token.text in names else None

    def take(self, kind: str) -> bool:
        if self.kind() != kind:
            return False
        self.at += 1
        return True

    def demand(self, kind: str) -> None:
        if not self.take(kind):
            raise Unreadable(f"{kind!r} is missing")

    def end(self) -> None:
        if self.at < len(self.tokens):
            raise Unreadable(f"{self.tokens[self.at].text!r} is not expected here")

    def descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("too deep")

    def braced(self) -> tuple[Token, ...]:
        """The tokens of a group in braces, or the next token."""
        if not self.take("{"):
            self.at += 1
            return tuple(self.tokens[self.at - 1 : self.at])
        start, depth = self.at, 1
        while depth:
            kind = self.kind()
            if not kind:
                raise Unreadable("a brace is not closed")
            depth += (kind == "{") - (kind == "}")
            self.at += 1
        return tuple(self.tokens[start : self.at - 1])


class Accents(Cursor):
    def sum(self) -> Expr:
        raise NotImplementedError

    def product(self) -> Expr:
        raise NotImplementedError

    def exponent(self) -> Expr:
        raise NotImplementedError

    def named(self, name: str) -> Expr:
        """A symbol with what follows its name: primes and an index."""
        while self.take("'"):
            name += "'"
        if self.take("_"):
            inner = self.braced()
            index = spell(inner)
            if any(token.text in self.bound for token in inner):
                raise Unreadable("an index that runs")
            if not index or "_" in index:
                raise Unreadable("an index that is none")
            name += f"_{index}"
        inner = self.tokens[self.at + 1 : self.at + 3]
        if (
            self.kind() == "("
            and len(inner) == 2
            and inner[0].kind in ("num", "word")
            and inner[1].kind == ")"
            and (len(inner[0].text) == 1 or inner[0].kind == "num")
        ):
            self.at += 1
            argument = self.sum()
            self.at += 1
            return Expr("apply", (name, argument))
        return Expr("sym", (name,))

    def accented(self, name: str) -> Expr:
        r"""\vec{v}, \hat{x}, \overline{AB}, \angle ABC: a symbol with a mark."""
        if name in ("angle", "triangle"):
            letters = ""
            while self.kind() == "word" and self.tokens[self.at].style != "text":
                letters += self.tokens[self.at].text
                self.at += 1
            if not letters:
                raise Unreadable("a mark without letters")
            return Expr("sym", (f"\\{name} {letters}",))
        if name not in ("vec", "hat", "bar", "overline", "tilde", "dot", "ddot", "mathcal"):
            raise Unreadable(f"\\{name} is no operand")
        inner = self.braced()
        if not inner or any(token.kind not in ("word", "cmd", "_", "num", "{", "}") for token in inner):
            raise Unreadable("a mark over what is no name")
        if all(token.kind == "num" for token in inner):
            raise Unreadable("a mark over a number")
        text = spell(tuple(Token(token.kind, token.text) for token in inner))
        if name == "hat" and text in ("i", "j", "k", r"\imath", r"\jmath") or text in (r"\imath", r"\jmath"):
            name, text = "vec", text[:1] if len(text) == 1 else text[1]
        return self.named(f"\\{name}{{{text}}}")

    def repeating(self, token: Token) -> Fraction | None:
        r"""A repeating decimal that begins with this number: 0.\overline{3}, 0.1\bar{6}, 0.\dot{1}2\dot{3}."""
        start, digits = self.at, token.text
        if token.text.isdigit():
            if not self.take("."):
                return None
            digits += "."
        if "." not in digits or not self.command("overline", "bar", "dot"):
            self.at = start
            return None
        mark = self.tokens[self.at].text
        self.at += 1
        period = "".join(each.text for each in self.braced())
        if mark == "dot":
            if len(period) > 1:
                self.tokens.insert(self.at, Token("num", period[1:]))
                period = period[0]
            middle = ""
            if self.kind() == "num" and self.at + 1 < len(self.tokens) and self.tokens[self.at + 1].text == "dot":
                middle, self.at = self.tokens[self.at].text, self.at + 1
            if self.command("dot"):
                self.at += 1
                period += middle + "".join(each.text for each in self.braced())
            elif middle:
                raise Unreadable("a period without an end")
        if not period.isdigit():
            raise Unreadable("a period that is no number")
        before = digits.partition(".")[2]
        share = Fraction(int(period), 10 ** len(before) * (10 ** len(period) - 1))
        return Fraction(digits.rstrip(".")) + share

    def mixed(self) -> Fraction | None:
        """A proper fraction of digits right behind an integer."""
        texts = [token.text for token in self.tokens[self.at : self.at + 7]]
        if self.command("frac"):
            if len(texts) == 7 and texts[1] == texts[4] == "{" and texts[3] == texts[6] == "}":
                top, bottom, length = texts[2], texts[5], 7
            elif len(texts) > 4 and texts[1] == "{" and texts[3] == "}" and len(texts[4]) == 1:
                top, bottom, length = texts[2], texts[4], 5
            elif len(texts) > 4 and len(texts[1]) == 1 and texts[2] == "{" and texts[4] == "}":
                top, bottom, length = texts[1], texts[3], 5
            elif len(texts) > 1 and len(texts[1]) == 2:
                top, bottom, length = texts[1][0], texts[1][1], 2
            else:
                return None
        elif self.kind() == "num" and self.tokens[self.at].blank and texts[1:2] == ["/"] and len(texts) > 2:
            top, bottom, length = texts[0], texts[2], 3
        else:
            return None
        if not (top.isdigit() and bottom.isdigit() and 0 < int(top) < int(bottom)):
            return None
        self.at += length
        return Fraction(int(top), int(bottom))

    def derivative(self) -> Expr | None:
        r"""\frac{dy}{dx} as one symbol, which no d cancels in; None for other fractions."""
        start = self.at
        if self.kind() == "{":
            above = spell(self.braced())
            below = spell(self.braced()) if self.kind() == "{" else ""
            if above in ("d", r"\partial") and _BELOW.fullmatch(below):
                raise Unreadable("an operator")
            if _ABOVE.fullmatch(above) and _BELOW.fullmatch(below):
                return Expr("sym", (f"{above}/{below}",))
        self.at = start
        return None

    def arguments(self) -> tuple[Expr, ...]:
        r"""The list behind \max, \gcd: in parentheses or braces."""
        if self.kind() not in ("(", r"\{"):
            raise Unreadable("a list is missing")
        closing = {"(": ")", r"\{": r"\}"}[self.kind()]
        self.at += 1
        found = [self.sum()]
        while self.take(","):
            found.append(self.sum())
        self.demand(closing)
        return tuple(found)

    def variable(self) -> str:
        token = self.peek()
        if token is None or token.kind != "word" or len(token.text) != 1:
            raise Unreadable("a variable is missing")
        self.at += 1
        return token.text

    def series(self, op: str) -> Expr:
        self.demand("_")
        self.demand("{")
        name = self.variable()
        self.demand("=")
        first = self.sum()
        self.demand("}")
        self.demand("^")
        last = self.exponent()
        return Expr(op, (name, first, last, self.body(name)))

    def limit(self) -> Expr:
        self.demand("_")
        self.demand("{")
        name = self.variable()
        if not self.command("to"):
            raise Unreadable("a limit without its point")
        self.at += 1
        point = self.sum()
        self.demand("}")
        return Expr("lim", (name, point, self.body(name)))

    def body(self, name: str) -> Expr:
        outer, self.bound = self.bound, self.bound | {name}
        body = self.product()
        self.bound = outer
        return body

    def integral(self) -> Expr:
        low = high = None
        if self.take("_"):
            low = self.exponent()
            self.demand("^")
            high = self.exponent()
        for end in range(self.at, len(self.tokens)):
            token = self.tokens[end]
            if token.kind == "word" and len(token.text) == 2 and token.text[0] == "d":
                name, length = token.text[1], 1
            elif token.text == "d" and end + 1 < len(self.tokens) and len(self.tokens[end + 1].text) == 1:
                name, length = self.tokens[end + 1].text, 2
            else:
                continue
            inner = type(self)(tuple(self.tokens[self.at : end]) or (Token("num", "1"),))
            inner.bound, inner.depth = self.bound | {name}, self.depth
            body = inner.sum()
            inner.end()
            self.at = end + length
            return Expr("int", (name, low, high, body))
        raise Unreadable("an integral without its variable")

    def determinant(self) -> Expr:
        self.at += 1
        rows: list[list[Expr]] = [[]]
        while True:
            rows[-1].append(self.sum())
            if self.take("row"):
                if self.kind() == "end":
                    break
                rows.append([])
            elif not self.take("&"):
                break
        self.demand("end")
        if not 0 < len(rows) <= MAX_MATRIX or any(len(row) != len(rows) for row in rows):
            raise Unreadable("a determinant that is not square")
        return Expr("det", tuple(Expr("row", tuple(row)) for row in rows))
