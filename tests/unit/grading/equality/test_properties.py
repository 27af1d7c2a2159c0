r"""Equality of read values is an equivalence, and a changed digit, letter, unit or base is never equal."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris.grading.equality import reals
from polaris.grading.equality.acceptance import equal_texts
from polaris.grading.equality.exact import Effort
from polaris.grading.equality.sameness import Sameness
from polaris.grading.equality.structure import key
from polaris.grading.reading.reader import is_read, readings
from polaris.grading.reading.units import names_unit

digits = st.integers(-(10**6), 10**6)
fractions = st.builds(Fraction, digits, st.integers(1, 400))
letters = st.sampled_from("abcdkmnpqrstuvwxyzABCDKLMNPQRSTUVXYZ")
units = st.sampled_from(
    ["cm", "m", "km", "kg", "g", "s", "min", "h", "L", "mL", "cm^2", "cm^3", "m/s", "km/h", "apples"]
)


def spellings(value: Fraction) -> list[str]:
    """Ways to write a fraction."""
    sign, size = "-" if value < 0 else "", abs(value)
    above, below = size.numerator, size.denominator
    found = [rf"{sign}\frac{{{above}}}{{{below}}}", rf"\frac{{{value.numerator}}}{{{below}}}", f"{sign}{above}/{below}",
             rf"\dfrac{{{7 * value.numerator}}}{{{7 * below}}}", rf"x = {sign}{{{above} \over {below}}}"]  # fmt: skip
    if above > below > 1:
        found.append(rf"{sign}{above // below}\frac{{{above % below}}}{{{below}}}")
    if below == 1:
        found += [f"{int(value):,}".replace(",", "{,}"), f"{value}.0", rf"\text{{{value}}}", rf"{value} \times 10^0"]
    if 10**6 % below == 0:
        found += [f"{sign}{above * 10**6 // below / 10**6:.6f}", rf"{sign}{above * 100 * 10**6 // below / 10**6:.6f}\%"]
    return found


@given(fractions, st.data())
def test_a_number_is_itself_in_every_spelling(value, data):
    first, second = data.draw(st.sampled_from(spellings(value))), data.draw(st.sampled_from(spellings(value)))
    assert is_read(first) and equal_texts(first, second)


@given(fractions, fractions, st.data())
def test_two_numbers_are_equal_in_no_spelling(a, b, data):
    """But for n% and n, where the problem may ask for percents."""
    if a not in (b, 100 * b) and b != 100 * a:
        assert not equal_texts(data.draw(st.sampled_from(spellings(a))), data.draw(st.sampled_from(spellings(b))))


def formulas() -> st.SearchStrategy[str]:
    leaf = st.one_of(st.integers(0, 30).map(str), letters, st.sampled_from([r"\pi", r"\alpha", "x_1", "a_{n}"]))

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, st.sampled_from("+- "), inner).map(lambda t: f"({t[0]}){t[1]}({t[2]})"),
            st.tuples(inner, inner).map(lambda t: rf"\frac{{{t[0]}}}{{{t[1]}}}"),
            st.tuples(inner, st.integers(2, 3)).map(lambda t: f"({t[0]})^{{{t[1]}}}"),
            inner.map(lambda t: rf"\sqrt{{{t}}}"),
        )

    return st.recursive(leaf, grown, max_leaves=5)


@given(formulas())
@settings(max_examples=60, deadline=None)
def test_a_formula_is_read_whole_and_equals_itself_in_brackets(text):
    assert is_read(text) and equal_texts(text, rf"\left( {text} \right)", reals)
    assert key(text) == key(f"{{{text}}}")


POOL = [
    "2", "2.0", r"\frac{4}{2}", "-2", r"\sqrt{4}", "x=2", "x+1", "1+x", "X+1", "(x+1)", "2x", "y=2x", "2x-y=0",
    "(1,2)", r"\langle 1,2\rangle", "(2,1)", "1, 2", r"\{2,1\}", r"\{1,1,2\}", "1, 1, 2", "[1,2]", r"1\le x\le 2",
    "(1,2]", "0.02", r"1\pmod 3",
    "x>1", "y>1", r"(1,\infty)", r"1<x", r"2\text{ cm}", r"2\,\mathrm{cm}", r"2\text{ m}", r"200\text{ cm}", "2%",
    "10_2", "10_3", "10_{2}", "(C)", "C", "c", "yes", "Yes", "no", "1:2", "2:4", "0.5", "3:4:5", "6:8:10",
    r"\emptyset", r"\{\}", r"\mathbb{R}", r"(-\infty,\infty)", r"\pm 2", "-2, 2", "a=1, b=2", "b=2, a=1", "6:30 pm",
    r"x\equiv 1\pmod 3", r"x\equiv 4\pmod 3", "a<b", "b>a", r"\mathbf{i}", "i", r"\hat{i}", "e", "E", "2i", "2 h 5 min",
    r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}", "5'", "x^2+", "2 3", r"\ln 4", r"2\ln 2",
]  # fmt: skip


@pytest.fixture(scope="module")
def equal() -> dict[tuple[int, int], bool]:
    values = [readings(text)[0] for text in POOL]
    return {
        (i, j): Sameness(Effort(reals)).same(a, b)
        for (i, a), (j, b) in itertools.product(enumerate(values), repeat=2)
    }  # fmt: skip


def test_equality_is_reflexive_symmetric_and_transitive(equal):
    places = range(len(POOL))
    assert [POOL[i] for i in places if not equal[i, i]] == []
    assert [(POOL[i], POOL[j]) for i in places for j in places if equal[i, j] != equal[j, i]] == []
    chains = [(i, j, k) for i in places for j in places if equal[i, j] for k in places if equal[j, k]]
    assert [tuple(POOL[i] for i in chain) for chain in chains if not equal[chain[0], chain[2]]] == []
    assert sum(equal.values()) > len(POOL) + 30


SHAPES = ["{}", "({}, 3)", r"\{{{}, x\}}", "[-7, {}]", r"\frac{{{}}}{{3}}", "{}x+1", r"x^{{{}}}+1", r"{}\text{{ cm}}",
          r"\sqrt{{{}}}", "a_{{{}}}+b", r"\begin{{pmatrix}}{}\\1\end{{pmatrix}}", "y={}x", "x > {}", r"1\pmod{{{}}}",
          r"\binom{{{}}}{{3}}", "{}!", r"2^{{{}}}", "{}, x", "n = {}", "1101{}_7", "{}:7:5", "f(x)={}x"]  # fmt: skip


@given(st.sampled_from(SHAPES), st.integers(2, 6), st.integers(2, 6))
def test_a_changed_digit_is_never_equal(shape, digit, other):
    a, b = shape.format(digit), shape.format(other)
    if digit != other and not (digit < 4 and "binom" in shape and other < 4):
        assert is_read(a) and not equal_texts(a, b, reals) and not equal_texts(b, a, reals)


LETTERS = ["{}", "2{}", "{}+1", r"\frac{{{}}}{{2}}", "({}, 1)", "{}^2", "{}=3", r"\sqrt{{{}}}", r"\mathbf{{{}}}",
           "{}_1", r"\{{{}\}}", "3{}+7", r"\pi {}^2", r"\sin {}", r"2^{{{}}}", "{} > 2"]  # fmt: skip


@given(st.sampled_from(LETTERS), letters, letters)
def test_a_changed_letter_or_case_is_never_equal(shape, letter, other):
    """But for the letters of choices: A and a."""
    a, b = shape.format(letter), shape.format(other)
    if letter != other and not (shape == "{}" and letter.upper() == other.upper() in "ABCD"):
        assert is_read(a) and not equal_texts(a, b, reals)


@given(st.integers(1, 999), units, units)
def test_a_changed_unit_is_never_equal(number, unit, other):
    a, b = rf"{number}\text{{ {unit}}}", rf"{number}\text{{ {other}}}"
    assert is_read(a) and equal_texts(a, b) == (unit == other) and equal_texts(a, str(number))
    assert names_unit("cm") and not names_unit("m")


@given(st.integers(2, 16), st.integers(2, 16), st.text("01", min_size=2, max_size=8))
def test_a_changed_base_is_never_equal(base, other, digits):
    text = "1" + digits
    assert is_read(f"{text}_{{{base}}}") and equal_texts(f"{text}_{{{base}}}", f"({text})_{{{other}}}") == (
        base == other
    )
    assert not equal_texts(text, f"{text}_{{{base}}}")
