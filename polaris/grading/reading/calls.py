r"""Roots and functions with their arguments. A base of expressions.Parser, whose methods for operands it calls."""

from polaris.grading.reading.notation import Accents
from polaris.grading.reading.tokens import Unreadable
from polaris.grading.reading.values import Expr, negative, number

TRIGONOMETRY = {"sin", "cos", "tan", "cot", "sec", "csc"}
UNARY = TRIGONOMETRY | {"arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "lg", "log", "exp"}
_ENDS = (*UNARY, "sum", "prod", "int", "lim")  # of an argument without parentheses


class Calls(Accents):
    def at_operand(self) -> bool:
        raise NotImplementedError

    def power(self) -> Expr:
        raise NotImplementedError

    def operand(self) -> Expr:
        raise NotImplementedError

    def group(self, opening: str, closing: str) -> Expr:
        raise NotImplementedError

    def root(self) -> Expr:
        index = None
        if self.kind() == "[":
            index = self.group("[", "]")
        token = self.peek()
        if token is not None and token.kind == "num":
            if len(token.text) > 1 and index is None and not token.blank and token.text.isdigit() is False:
                raise Unreadable("a decimal without braces")
            if len(token.text) > 1:
                raise Unreadable("a number without braces")
            self.at += 1
            inner = number(int(token.text))
        else:
            inner = self.operand()
        return Expr("sqrt", (inner,) if index is None else (inner, index))

    def function(self, name: str) -> Expr:
        base, exponent = None, None
        while True:
            if name == "log" and base is None and self.take("_"):
                base = self.exponent()
            elif exponent is None and self.take("^"):
                exponent = self.exponent()
            else:
                break
        inverse = exponent == number(-1) and name in TRIGONOMETRY
        if inverse and name not in ("sin", "cos", "tan"):
            raise Unreadable("an inverse that has no name")
        argument = self.function_argument()
        if name == "lg":
            name, base = "log", number(10)
        if name == "exp":
            return self.raised(Expr("pow", (Expr("const", ("e",)), argument)), exponent)
        args = (argument,) if base is None else (argument, base)
        call = Expr("ln" if base == Expr("const", ("e",)) else f"arc{name}" if inverse else name, args)
        if call.op == "ln":
            call = Expr("ln", (argument,))
        return call if inverse else self.raised(call, exponent)

    def raised(self, base: Expr, exponent: Expr | None) -> Expr:
        return base if exponent is None else Expr("pow", (base, exponent))

    def function_argument(self) -> Expr:
        if self.kind() == "(":
            return self.group("(", ")")
        self.descend()
        if self.take("-"):
            argument = negative(self.function_argument())
        else:
            factors = [self.power()]
            while self.at_operand() and not self.command(*_ENDS) and self.kind() not in ("(", "["):
                factors.append(self.power())
            argument = factors[0] if len(factors) == 1 else Expr("mul", tuple(factors))
        self.depth -= 1
        return argument
