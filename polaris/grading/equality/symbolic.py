"""What SymPy does for us, with formulas that were read whole: limits, integrals, inequalities in one variable.

SymPy's objects are built, never parsed. It may take any time, so only a process that can be killed comes here.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath
import sympy
import sympy.polys.rootoftools

from polaris.grading.equality.exact import TooLarge, Undefined
from polaris.grading.reading.values import INFINITY, Expr, symbols

_FUNCTIONS: dict[str, Any] = {
    "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot, "sec": sympy.sec, "csc": sympy.csc,
    "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan, "sinh": sympy.sinh, "cosh": sympy.cosh,
    "tanh": sympy.tanh, "ln": sympy.log, "abs": sympy.Abs, "floor": sympy.floor, "ceil": sympy.ceiling,
    "factorial": sympy.factorial, "binom": sympy.binomial, "max": sympy.Max, "min": sympy.Min,
}  # fmt: skip
_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "deg": sympy.pi / 180}
_RELATIONS = {"<": sympy.StrictLessThan, "<=": sympy.LessThan, "!=": sympy.Unequality}
MAX_EXPONENT = 100
ENDLESS = float("inf")


def build(expr: Expr, point: Mapping[str, Any], bound: Mapping[str, sympy.Symbol]) -> Any:
    """The formula as SymPy's expression. Raises TooLarge and Undefined for what is not given to SymPy."""
    op, args = expr.op, expr.args
    if op == "num":
        return _rational(args[0])
    if op == "sym":
        return bound[args[0]] if args[0] in bound else _rational(point[args[0]])
    if expr == INFINITY:
        return sympy.oo
    if op == "const":
        return _CONSTANTS[args[0]]
    if op == "lim":
        x = sympy.Symbol(args[0], real=True)
        return sympy.limit(build(args[2], point, {**bound, args[0]: x}), x, build(args[1], point, bound))
    if op == "int":
        x = sympy.Symbol(args[0], real=True)
        body = build(args[3], point, {**bound, args[0]: x})
        if args[1] is None:
            raise Undefined
        return sympy.integrate(body, (x, build(args[1], point, bound), build(args[2], point, bound)))
    built = [build(arg, point, bound) for arg in args if isinstance(arg, Expr)]
    if op == "add":
        return sympy.Add(*built)
    if op == "mul":
        return sympy.Mul(*built)
    if op == "pow":
        if built[1].is_number and abs(built[1]) > MAX_EXPONENT:
            raise TooLarge
        return sympy.Pow(*built)
    if op == "sqrt":
        return sympy.real_root(built[0], built[1]) if len(built) > 1 else sympy.sqrt(built[0])
    if op == "log" and len(built) == 2:
        return sympy.log(built[0], built[1])
    if op not in _FUNCTIONS:
        raise Undefined
    return _FUNCTIONS[op](*built)


def _rational(value: Any) -> sympy.Rational:
    if not isinstance(value, Fraction):
        raise Undefined
    return sympy.Rational(value.numerator, value.denominator)


def _number(value: Any) -> Any:
    """SymPy's number as ours: a fraction, or mpmath's. Raises Undefined where it is none."""
    if isinstance(value, sympy.Rational) and value.is_finite:
        return Fraction(int(value.p), int(value.q))
    digits = value.evalf(mpmath.mp.dps)
    if not digits.is_number or digits.has(sympy.oo, sympy.nan, sympy.zoo, sympy.Integral, sympy.Limit):
        raise Undefined
    real, imaginary = digits.as_real_imag()
    context = mpmath.mp
    if imaginary == 0:
        return context.mpf(real._to_mpmath(context.prec)) if isinstance(real, sympy.Float) else context.mpf(int(real))
    raise Undefined


def value(expr: Expr, point: Mapping[str, Any]) -> Any:
    """The number that a limit or a definite integral is."""
    return _asked(lambda: _number(build(expr, point, {})))


def solve(op: str, left: Expr, right: Expr) -> list[tuple[Any, bool, Any, bool]]:
    """The pieces of the real line where a relation in one variable holds. Raises Undefined."""
    (name,) = symbols(left, right)
    x = sympy.Symbol(name, real=True)

    def solution() -> list[tuple[Any, bool, Any, bool]]:
        relation = _RELATIONS[op](build(left, {}, {name: x}), build(right, {}, {name: x}))
        if relation in (sympy.true, sympy.false):
            return [(-ENDLESS, False, ENDLESS, False)] if relation == sympy.true else []
        return _pieces(sympy.solve_univariate_inequality(relation, x, relational=False))

    return _asked(solution)


def _asked(question: Callable[[], Any]) -> Any:
    """SymPy's answer; what it cannot do, whatever it raises then, is Undefined."""
    try:
        return question()
    except MemoryError:
        raise
    except Exception as error:
        raise Undefined from error


def _pieces(found: Any) -> list[tuple[Any, bool, Any, bool]]:
    if found is sympy.S.EmptySet:
        return []
    if isinstance(found, sympy.Union):
        return [piece for each in found.args for piece in _pieces(each)]
    if isinstance(found, sympy.FiniteSet):
        return [(point, True, point, True) for point in map(_number, found.args)]
    if isinstance(found, sympy.Interval):
        low = -ENDLESS if found.start == -sympy.oo else _number(found.start)
        high = ENDLESS if found.end == sympy.oo else _number(found.end)
        return [(low, not found.left_open and low != -ENDLESS, high, not found.right_open and high != ENDLESS)]
    if found == sympy.S.Reals:
        return [(-ENDLESS, False, ENDLESS, False)]
    raise Undefined


def _polynomial(variable: sympy.Symbol, expression: sympy.Expr) -> Callable[[Any], Any]:
    """In place of SymPy's lambdify, which writes Python, where SymPy looks for a root."""
    coefficients = sympy.Poly(expression, variable).all_coeffs()
    return lambda x: mpmath.polyval([c._to_mpmath(mpmath.mp.prec) for c in coefficients], x)


sympy.polys.rootoftools.lambdify = _polynomial
