"""The reader of plain formulas: SymPy's own reading, without its parser."""

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris.grading import formula

x, y = sympy.symbols("x y")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/2x", x / 2), ("1/(2x)", 1 / (2 * x)), ("-x^2", -(x**2)), ("2^-1", sympy.Rational(1, 2)),
        ("2**3**2", 512), ("x--1", x + 1), ("x(x+1)", x * (x + 1)), ("(x)(y)2", 2 * x * y), ("xy2", 2 * x * y),
        ("x_1", sympy.Symbol("x_1")), ("mu", sympy.Symbol("mu")), ("pix", sympy.Symbol("p") * sympy.Symbol("i") * x),
        ("2pi", 2 * sympy.pi), ("sqrt(8)", 2 * sympy.sqrt(2)), ("2sqrt 2x", 2 * sympy.sqrt(2 * x)), ("5!", 120),
        ("ln**2(2)", sympy.log(2) ** 2), ("ln 2/3", sympy.log(2) / 3), ("1.5e2", sympy.Float(150)),
        (".5", sympy.Float(0.5)),
    ],
)  # fmt: skip
def test_reads(text, value):
    assert formula.read(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "()", "(", "1)", "x+", "*x", "2,3", "x.y", "x=1", "x==x", "'x'", "f'x'", "[x]", "{x}", "x if x else y",
     "x or y",
     "lambda:x", "~x", "x;y", "#", "7//2", "x\\y", "ⅰⅿ", "𝐱", "ａ", "２", "x²", "re", "oo", "sqrt", "5 \xa0m",
     "(" * 200 + "x" + ")" * 200, "-" * 200 + "x", "2**" * 200 + "1", "9**9**9", "9**999999", "9!!!", "x**1e9",
     "1e9999", "x" * 1001, "2**1000**2", "(1/3)**1000**2"],
)  # fmt: skip
def test_refuses(text):
    with pytest.raises(formula.NotAFormula):
        formula.read(text)


@given(st.text("0123456789.+-*/^() xypie!sqrtln_", max_size=25))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text):
    try:
        assert isinstance(formula.read(text), sympy.Expr)
    except formula.NotAFormula:
        pass
