r"""A formula's tokens -> a tree of Expr, whole or not at all. Nothing is computed but literals.

Products without a sign bind as those with one (1/2x is x/2); powers take a run of digits (2^10 is 1024); a function
without parentheses takes the factors up to the next sign or function (\sin 2x \cos x); proper fractions behind an
integer are mixed numbers (2\frac12). Depth is bounded.
"""

from fractions import Fraction

from polaris.grading.reading.calls import UNARY, Calls
from polaris.grading.reading.tokens import Token, Unreadable, literal
from polaris.grading.reading.units import LETTERS, UNIT_LETTERS
from polaris.grading.reading.values import INFINITY, Expr, negative, number

_LISTS = {"gcd", "lcm", "max", "min"}
_FENCES = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil")}
_UNKNOWN_FUNCTIONS = frozenset("fghFG")
_GREEK_WORDS = """
    alpha beta gamma delta varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon
    varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar odot oplus
"""
_GREEK = frozenset(_GREEK_WORDS.split())
_SHORT_WORDS = """
    no or if is to of pm yes all any odd one two six ten dne not and for the off has was are but day may can
"""
_WORDS = frozenset(_SHORT_WORDS.split())
OPERANDS = frozenset({"num", "word", "(", "[", "{"})
_OPERAND_COMMANDS = (
    UNARY | _LISTS | set(_FENCES) | _GREEK | {"frac", "sqrt", "binom", "pi", "infty", "sum", "prod", "lim", "int"}
    | {"vec", "hat", "bar", "overline", "tilde", "dot", "ddot", "angle", "triangle", "mathcal"}
)  # fmt: skip


def parse_expression(tokens: tuple[Token, ...]) -> Expr:
    """The formula that the tokens are. Raises Unreadable where they are none, or more than one."""
    parser = Parser(tokens)
    expr = parser.sum()
    parser.end()
    return expr


class Parser(Calls):
    """Recursive descent over a list of tokens, which operands may split."""

    def sum(self) -> Expr:
        self.descend()
        terms = [self.signed()]
        while self.kind() in ("+", "-") or self.command("pm", "mp"):
            terms.append(self.signed())
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Expr("add", tuple(terms))

    def signed(self) -> Expr:
        """A product with signs before it."""
        token = self.peek()
        if token is not None and token.kind in ("+", "-"):
            self.at += 1
            self.descend()
            term = self.signed()
            self.depth -= 1
            return negative(term) if token.kind == "-" else term
        if self.command("pm", "mp"):
            self.at += 1
            return Expr(token.text, (self.product(),))
        return self.product()

    def product(self) -> Expr:
        factors = [self.power()]
        while True:
            if self.take("*"):
                factors.append(self.factor())
            elif self.take("/"):
                factors.append(Expr("pow", (self.factor(), number(-1))))
            elif self.at_operand():
                if self.kind() == "num" and factors[-1].op in ("num", "sym", "const"):
                    raise Unreadable("two numbers side by side")
                factors.append(self.power())
            else:
                return factors[0] if len(factors) == 1 else Expr("mul", tuple(factors))

    def factor(self) -> Expr:
        """A power with a sign before it, behind a sign: 2 \\cdot -3."""
        if self.take("-"):
            return negative(self.power())
        return self.power()

    def at_operand(self) -> bool:
        token = self.peek()
        if token is None:
            return False
        if token.kind == "cmd":
            return token.text in _OPERAND_COMMANDS
        return token.kind in OPERANDS or token.kind == "|" and not self.bars

    def power(self) -> Expr:
        base = self.operand()
        while True:
            if self.kind() == "^":
                self.at += 1
                if self.degree():
                    base = Expr("mul", (base, Expr("const", ("deg",))))
                else:
                    base = Expr("pow", (base, self.exponent()))
            elif self.take("!"):
                if self.kind() == "!":
                    raise Unreadable("a double factorial")
                base = Expr("factorial", (base,))
            elif self.command("degree"):
                self.at += 1
                base = Expr("mul", (base, Expr("const", ("deg",))))
            elif self.take("%"):
                base = Expr("mul", (base, number(Fraction(1, 100))))
            else:
                return base

    def degree(self) -> bool:
        if self.command("circ"):
            self.at += 1
            return True
        if [token.text for token in self.tokens[self.at : self.at + 3]] == ["{", "circ", "}"]:
            self.at += 3
            return True
        return False

    def exponent(self) -> Expr:
        if self.take("-"):
            return negative(self.operand())
        if self.kind() == "{":
            return self.group("{", "}")
        token = self.peek()
        if token is not None and token.kind == "num":
            self.at += 1
            return number(*literal(token.text))
        return self.operand()

    def operand(self) -> Expr:
        self.descend()
        found = self.bare_operand()
        self.depth -= 1
        return found

    def bare_operand(self) -> Expr:
        token = self.peek()
        if token is None:
            raise Unreadable("an operand is missing")
        if token.kind == "num":
            return self.number()
        if token.kind == "word":
            return self.letter()
        if token.kind in ("(", "["):
            return self.group(token.kind, ")" if token.kind == "(" else "]")
        if token.kind == "{":
            return self.group("{", "}")
        if token.kind == "|":
            self.at += 1
            self.bars += 1
            inner = self.sum()
            self.bars -= 1
            self.demand("|")
            return Expr("abs", (inner,))
        if token.kind == "begin" and token.text == "vmatrix":
            return self.determinant()
        if token.kind != "cmd":
            raise Unreadable(f"{token.text!r} is no operand")
        self.at += 1
        return self.of_command(token)

    def of_command(self, token: Token) -> Expr:
        name = token.text
        if name == "frac":
            if (derivative := self.derivative()) is not None:
                return derivative
            return Expr("mul", (self.argument(), Expr("pow", (self.argument(), number(-1)))))
        if name == "binom":
            return Expr("binom", (self.argument(), self.argument()))
        if name == "sqrt":
            return self.root()
        if name in UNARY:
            return self.function(name)
        if name in _LISTS:
            return Expr(name, self.arguments())
        if name in _FENCES:
            closing, op = _FENCES[name]
            inner = self.sum()
            if not self.command(closing):
                raise Unreadable("a bracket is not closed")
            self.at += 1
            return Expr(op, (inner,))
        if name == "pi":
            return Expr("const", ("pi",))
        if name == "infty":
            return INFINITY
        if name in ("sum", "prod"):
            return self.series(name)
        if name == "lim":
            return self.limit()
        if name == "int":
            return self.integral()
        if name in _GREEK:
            return self.named(f"\\{name}")
        return self.accented(name)

    def number(self) -> Expr:
        token = self.tokens[self.at]
        self.at += 1
        if (repeating := self.repeating(token)) is not None:
            return number(repeating)
        value, digits = literal(token.text)
        if token.text.isdigit() and (fraction := self.mixed()) is not None:
            return number(value + fraction)
        return number(value, digits)

    def letter(self) -> Expr:
        token = self.tokens[self.at]
        if len(token.text) > 1:
            text = token.text
            word = text.casefold() in _WORDS and (len(text) > 2 or not text.isupper())
            if word or token.style in ("text", "roman") or len(text) > 3 or len(text) == 3 and text.istitle():
                raise Unreadable(f"{text!r} is a word")
            letters = [Token("word", letter, token.style, token.blank and not i) for i, letter in enumerate(text)]
            self.tokens[self.at : self.at + 1] = letters
            token = letters[0]
        upright = token.style in ("text", "roman") and len(self.tokens) > 1
        if upright and token.text in (LETTERS if token.blank and self.at else UNIT_LETTERS):
            raise Unreadable("an upright letter of a unit")
        self.at += 1
        name = f"\\vec{{{token.text}}}" if token.style == "bold" else token.text
        if name in _UNKNOWN_FUNCTIONS and self.kind() == "(" and name not in self.bound:
            return Expr("apply", (name, self.group("(", ")")))
        if name in ("e", "i") and self.kind() not in ("_", "'") and name not in self.bound:
            return Expr("const", (name,))
        return self.named(name)

    def group(self, opening: str, closing: str) -> Expr:
        self.demand(opening)
        bars, self.bars = self.bars, 0
        inner = self.sum()
        if opening == "{" and (infix := self.command("over", "choose")):
            self.at += 1
            below = self.sum()
            inner = (
                Expr("mul", (inner, Expr("pow", (below, number(-1))))) if infix == "over"
                else Expr("binom", (inner, below))
            )  # fmt: skip
        self.demand(closing)
        self.bars = bars
        return inner

    def argument(self) -> Expr:
        r"""What a command takes: a group, or a single sign, also of a longer number: \frac12."""
        token = self.peek()
        if token is not None and token.kind == "num":
            if not token.text.isdigit() or len(token.text) > 2:
                raise Unreadable("a number without braces")
            self.at += 1
            if len(token.text) == 2:
                self.at -= 1
                self.tokens[self.at : self.at + 1] = [Token("num", digit) for digit in token.text]
                self.at += 1
            return number(int(self.tokens[self.at - 1].text))
        if token is not None and token.kind in ("(", "[", "|"):
            raise Unreadable("an argument without braces")
        return self.operand()
