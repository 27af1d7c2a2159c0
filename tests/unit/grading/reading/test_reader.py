r"""What an answer's text is read as: a typed value, a few where it is open, or nothing."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.grading.reading import values
from polaris.grading.reading.reader import is_read, readings

TYPES = {
    "Formula": [r"\frac12", "x+1", "1,234,567.5", "12th", "0.\\overline{3}", "five million", "3:4", "C", r"-\infty"],
    "Quantity": [r"5\text{ cm}^2", "35 cm", r"\$5", "5%", "30^\\circ", "12 apples", r"9.8\,\mathrm{m/s^2}", "36 mph"],
    "Compound": ["2 h 30 min", r"3\text{ ft }4\text{ in}", "2 hours and 30 minutes"],
    "Based": ["1101_2", "(1101)_2", r"52_{\text{eight}}", "B3_{16}", "17_b"],
    "Ratio": ["3:4:5"],
    "Clock": ["6:30", "6:30 p.m.", "6 PM"],
    "Date": ["June 20", "20 June 2021", "March 5th"],
    "Sequence": ["(1,2)", "(1,2,3)", r"\langle 1,2\rangle"],
    "Collection": ["1, 2", r"\{1,2\}", "1 or 2", r"\pm 2", "{1,2}", "12 boys and 13 girls", r"2+7k, k\in\mathbb{Z}"],
    "Matrix": [r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\left(\begin{array}{cc}1&2\\3&4\end{array}\right)"],
    "Region": ["[1,2)", "x>2", "1<x\\le 3", r"(-\infty,1)\cup\{3\}", r"\emptyset", r"\mathbb{R}", r"x\ne 1", "|x|<2"],
    "Chain": ["a<b\\le c"],
    "Equation": ["x=5", "y=2x+1", "x^2+y^2=1", "S=2+3=5"],
    "Named": ["D=(0,1)", "n=2,3,4", r"x=\pm 1", r"t=5\text{ s}"],
    "Assignments": ["x=1, y=2", "(x,y)=(1,2)"],
    "Residue": [r"x\equiv 5\pmod{7}", r"1,2\pmod 4"],
    "Choice": ["(C)", "C) 12", r"\textbf{(C)}\ 12"],
    "Words": ["yes", r"\text{no solution}", "Evelyn", r"\text{all odd}"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in TYPES.items() for text in texts])
def test_types(name, text):
    assert type(readings(text)[0]) is getattr(values, name)


@pytest.mark.parametrize(
    "text",
    ["x^2+", "5 is wrong", "5 or", r"5\ldots", "5'", "5^*", "3+", "7_2", r"3\to 9", r"5\text{ is wrong}", "2 3", "6=",
     r"4\text{ if }n\text{ is even, }5\text{ otherwise}", r"\text{at least }5", r"A\cup B", r"l\perp m", "}{", "x2",
     r"\sqrt12", r"\frac123", r"\sum_{k=1}^{n}a_k", r"x+1\text{ for }x>0", "1/2/", "(1,2", "a<b>c", "3<5", "",
     "x" * 1001, r"5\text{ halves}", r"3\text{ red, }4\text{ blue}", "5\0", "\ud800"],
)  # fmt: skip
def test_what_no_rule_reads_whole(text):
    assert not is_read(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("1,234", 2), ("1{,}234", 1), ("120, 240", 1), ("10,100,1000", 1), ("(1,2)", 2), ("(2,1)", 1), ("[1,2]", 1),
     ("10:30", 2), ("1:2", 1), ("5 m", 2), ("5m", 1), (r"5\text{ m}", 1)],
)  # fmt: skip
def test_what_is_open(text, count):
    assert len(readings(text)) == count


@given(st.text(alphabet="\\{}()[]$^_ boxedfracsqrtinpmtext0123456789.,;:|&=<>+-*/!%'\n\0°½√٥", max_size=60))
def test_any_text_is_read_or_left(text):
    assert readings(text)


HOSTILE = [
    "{" * 500 + "1" + "}" * 500, "(" * 999, r"\{" * 400, r"\frac" * 199, r"\sqrt" * 199, "-" * 999, "1," * 499,
    "2^" * 499 + "2", "^-" * 400, "|" * 999, r"\sum_{k=1}^{9}" * 70, "1 m " * 249, "x=" * 499, "the is " * 140,
    "1<" * 499 + "1", r"\pm1" * 249, r"\text{a}" * 120, "(1,(1," * 160, r"\begin{pmatrix}" * 60, "a_" * 499, "." * 999,
    "1:" * 499 + "1", "5 h " * 249, "1 or " * 199, r"\log_" * 199, "!" * 999, r"\left" * 199, "e^" * 499, "°" * 999,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_takes_no_time(text):
    started = time.process_time()
    readings(text)
    assert time.process_time() - started < 0.5
