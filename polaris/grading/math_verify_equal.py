r"""Whether two answers are the same expression: math-verify's reading and rules, with its known errors mended.

Only polaris/grading/grading_worker.py imports this: what a model wrote is computed here, so the process must be one
that can be killed. No text is executed: math-verify's plain-expression reader, which is sympy's parser, stays unused,
and what in its LaTeX reader and in sympy makes code of a text (numbers, gcd of decimals, roots of polynomials) is
replaced below.
What is changed, measured in tests/parity/test_answer_pairs.py:
  exact numbers    equal to 50 digits, relative to their size; math-verify takes 1/2004! and 1/2006! for equal (both are
                   about 0)
  decimals         a decimal is an exact value when it agrees to six significant digits
  sets             {1,2} is no point and no interval (1,2)
  complex numbers  i is the imaginary unit wherever either side is complex; powers are evaluated
  degrees          cos 60^\circ is 1/2
  inequalities     x > 2 is (2, oo), whichever side is the gold one; "or" joins sets; {x | x > 2}
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import latex2sympy2_extended.latex2sympy2
import math_verify.grader
import mpmath
import sympy
import sympy.polys.rootoftools
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Float, I, MatrixBase, Rational, Symbol, Tuple

from polaris.grading.answers import STRUCTURE
from polaris.grading.formula import exact

EXACT_DIGITS = 50
DECIMAL_TOLERANCE = 5e-7  # relative: six significant digits

_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_DEGREES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:\^\s*\{?\s*\\circ\s*\}?|°)")
_BUILDER = re.compile(
    r"^\s*\\\{\s*[a-z]\s*(?:\\in\s*\\mathbb\{?R\}?\s*)?(?:\\mid|\\vert|\||:)\s*(.*)\\\}\s*$", re.DOTALL
)
_OR = re.compile(r"\\(?:text|textrm|mathrm|mbox)\s*\{\s*or\s*\}|\\(?:lor|vee)(?![a-zA-Z])")
_RELATION = re.compile(r"[<>≤≥]|\\(?:le|ge|leq|geq|lt|gt)(?![a-zA-Z])")
_OUTER = re.compile(r"\\(?:left|right)(?![a-zA-Z])|\s+|\$")


def _parse(text: str) -> list[Any]:
    """math-verify's reading of LaTeX between dollars: an expression and its text, or the text alone, or nothing.

    Its plain-expression reader is left out: that would pull a number out of a formula that it could not parse.
    """
    return parse(f"${text.replace('$', ' ')}$", [LatexExtractionConfig()], parsing_timeout=None)


@functools.lru_cache(maxsize=1024)  # a problem's gold answer is read once for all its responses
def read(text: str) -> list[Any]:
    """What a text means, in math-verify's form: [expression, text], or [text] where it cannot be read."""
    if builder := _BUILDER.match(text):
        text = builder[1]
    if _TRIGONOMETRY.search(text):
        text = _DEGREES.sub(r"(\1\\cdot\\frac{\\pi}{180})", text)
    if _OR.search(text) and _RELATION.search(text):
        parts = [_parse(part) for part in _OR.split(text)]
        try:
            return [sympy.Union(*(part[0].as_set() for part in parts)), text]
        except (AttributeError, IndexError, NotImplementedError, TypeError, ValueError):
            return [text]
    return _parse(text)


def readable(found: list[Any]) -> bool:
    return any(not isinstance(item, str) for item in found)


def written(found: list[Any]) -> str | None:
    """The structure of what was read, the same for 1+x and x+1; None where it could not be read.

    Nothing is evaluated: 1+1=2 and 2+2=4 are both true, but not the same step.
    """
    return STRUCTURE + sympy.srepr(found[0]) if readable(found[:1]) else None


def equal(gold: str, answer: str, gold_read: list[Any], answer_read: list[Any]) -> bool:
    """Whether two texts, read by `read`, are the same answer."""
    if _of_different_kind(gold, answer_read) or _of_different_kind(answer, gold_read):
        return False
    if readable(gold_read[:1]) and gold_read[:1] == answer_read[:1]:
        return True
    gold_read, answer_read = _with_imaginary_unit(gold_read, answer_read)
    return verify(gold_read, answer_read, timeout_seconds=None, allow_set_relation_comp=True)


def _of_different_kind(text: str, other: list[Any]) -> bool:
    r"""`text` is a set written \{...\}, and the other is a point or an interval."""
    bare = _OUTER.sub("", text)
    listed = bare.startswith("\\{") and bare.endswith("\\}") and not _BUILDER.match(text)
    return listed and any(isinstance(item, Tuple | sympy.Interval) for item in other)


def _with_imaginary_unit(*sides: list[Any]) -> list[list[Any]]:
    """i as the imaginary unit on both sides, when a side has it as that already or both are numbers otherwise."""
    found = [item for side in sides for item in side if isinstance(item, Basic | MatrixBase)]
    letters = set().union(*(item.free_symbols for item in found)) if found else set()
    i = Symbol("i")
    if i not in {Symbol(letter.name) for letter in letters}:
        return list(sides)
    if not any(item.has(I) for item in found) and {letter.name for letter in letters} != {"i"}:
        return list(sides)
    units = {letter: I for letter in letters if letter.name == "i"}
    return [[item.subs(units) if isinstance(item, Basic | MatrixBase) else item for item in side] for side in sides]


def _numeric_equal(a: Any, b: Any, float_rounding: int, numeric_precision: int) -> bool:
    """In place of math-verify's `sympy_numeric_eq`: see this file's head. Numbers, percents and matrices of them."""
    if isinstance(a, MatrixBase) and isinstance(b, MatrixBase):
        return a.shape == b.shape and all(
            math_verify.grader.sympy_expr_eq(x, y, float_rounding, numeric_precision)
            for x, y in zip(a.flat(), b.flat(), strict=True)
        )
    if isinstance(a, MatrixBase) or isinstance(b, MatrixBase):
        return False
    a, b = (math_verify.grader.get_pct_val(x, x) if _bare_percent(x, y) else x for x, y in ((a, b), (b, a)))
    a, b = math_verify.grader.safe_sympy_doit(a), math_verify.grader.safe_sympy_doit(b)
    if a == b:
        return True
    if isinstance(a, Rational) and isinstance(b, Rational):
        return False
    if a.free_symbols or b.free_symbols:
        return sympy.expand(a - b) == 0
    values = _values(a, b)
    if values is None:
        return False
    x, y = values
    tolerance = DECIMAL_TOLERANCE if a.has(Float) or b.has(Float) else Float(10) ** (5 - EXACT_DIGITS)
    return bool(abs(x - y) <= tolerance * max(abs(x), abs(y)))


def _values(a: Any, b: Any) -> tuple[Any, Any] | None:
    """Two numbers to 50 digits; None where either is not a finite number."""
    if not (isinstance(a, sympy.Expr) and isinstance(b, sympy.Expr)) or a.free_symbols or b.free_symbols:
        return None
    x, y = a.evalf(EXACT_DIGITS), b.evalf(EXACT_DIGITS)
    return (x, y) if x.is_number and y.is_number and x.is_finite and y.is_finite else None


def _symbolic_equal(a: Any, b: Any) -> bool:
    """In place of math-verify's `sympy_symbolic_eq`: what 50 digits decided is not simplified, which is slow."""
    return _values(a, b) is None and _simplified_equal(exact(a), exact(b))


def _bare_percent(x: Any, y: Any) -> bool:
    """x is n % and y is no percentage, but the same n: the question may have asked for percents."""
    percent = math_verify.grader.get_pct_val(x)
    return percent is not None and math_verify.grader.get_pct_val(y) is None and percent == y


def _number(text: str) -> sympy.Number:
    """In place of sympy's Number, which evaluates the text. Raises ValueError."""
    text = text.strip()
    return sympy.Integer(int(text)) if text.isdigit() else Float(text)


def _parse_number(reader: Any, text: str) -> sympy.Number:
    return _number(text.replace(",", ""))


def _convert_number(text: str) -> sympy.Number:
    """1,234 is 1234, and 0,25 is a decimal."""
    return _number(text.replace(",", "." if text.startswith("0") else "").replace(" ", "").lstrip("0") or "0")


def _gcd_lcm(reader: Any, name: str, values: list[Any]) -> sympy.UnevaluatedExpr:
    """In place of latex2sympy's, whose sympy.nsimplify writes and reads a text."""
    return sympy.UnevaluatedExpr(getattr(sympy, name)([exact(value) for value in values]))


def _polynomial(variable: Symbol, expression: sympy.Expr) -> Callable[[Any], Any]:
    """In place of sympy's lambdify, which writes Python, where sympy looks for a root."""
    coefficients = sympy.Poly(expression, variable).all_coeffs()
    return lambda x: mpmath.polyval([c._to_mpmath(mpmath.mp.prec) for c in coefficients], x)


latex2sympy2_extended.latex2sympy2._Latex2Sympy.parse_number = _parse_number
latex2sympy2_extended.latex2sympy2._Latex2Sympy.handle_gcd_lcm = _gcd_lcm
latex2sympy2_extended.latex2sympy2.convert_number = _convert_number
sympy.polys.rootoftools.lambdify = _polynomial

# math-verify has no hook for these; it looks the functions up in its module at each comparison.
_simplified_equal = math_verify.grader.sympy_symbolic_eq
math_verify.grader.sympy_numeric_eq = _numeric_equal
math_verify.grader.sympy_symbolic_eq = _symbolic_equal
