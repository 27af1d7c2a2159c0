"""The final answer of a response, and what text and plain numbers decide about it."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.grading.answers import (
    DIFFERENT,
    EXACT,
    NO_ANSWER,
    NO_THINK,
    compare,
    find_answer,
    golds_from,
    last_box,
    normal_form,
    plain_number,
    unboxed,
)

BOXES = [
    (r"\boxed{5}", "5"),
    (r"\boxed {5}", "5"),
    ("\\boxed\n{5}", "5"),
    (r"\fbox{5}", "5"),
    (r"\boxed{4} or rather \boxed{5}", "5"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\{1,2\}}", r"\{1,2\}"),
    (r"\boxed{a \\ {b}}", r"a \\ {b}"),
    (r"\boxed{5} and \boxed{6", "5"),
    (r"\boxed{ an unclosed one with \boxed{7}", "7"),
    (r"\boxed{\boxed{7}}", r"\boxed{7}"),
    (r"{{{ \boxed{7} }", "7"),
    (r"}}} \boxed{7}", "7"),
    (r"\boxed 5", None),
    (r"\boxed", None),
    ("5", None),
    ("", None),
    (r"\boxed{}", ""),
]


@pytest.mark.parametrize(("text", "box"), BOXES)
def test_last_complete_box(text, box):
    assert last_box(text) == box


@pytest.mark.parametrize(
    ("response", "think", "none"),
    [
        (r"so</think>\boxed{5}", "5", "5"),
        (r"\boxed{4}</think>\boxed{5}", "5", "5"),
        (r"\boxed{4}</think>five", NO_ANSWER, NO_ANSWER),
        (r"a</think>\boxed{4}</think>\boxed{5}", "5", "5"),
        (r"\boxed{5}", NO_THINK, "5"),
        (r"a</think>\fbox{\boxed{ 5 }}", "5", "5"),
        (r"a</think>\boxed{ }", NO_ANSWER, NO_ANSWER),
        (r"a</think>\boxed{\boxed{}}", NO_ANSWER, NO_ANSWER),
        ("", NO_THINK, NO_ANSWER),
    ],
)
def test_answer_after_the_last_thought(response, think, none):
    for format, expected in (("think", think), ("none", none)):
        wanted = (None, expected) if expected in (NO_THINK, NO_ANSWER) else (expected, None)
        assert find_answer(response, format) == wanted


@pytest.mark.parametrize(
    ("value", "golds"),
    [
        ("5", ["5"]),
        (r" $\boxed{5}$ ", ["5"]),
        (142.0, ["142"]),
        (2.5, ["2.5"]),
        (7, ["7"]),
        (np.float64(142.0), ["142"]),
        (np.array(["1", "2"]), ["1", "2"]),
        (np.array([3.0]), ["3"]),
        (["1", ["2", 1]], ["1", "2"]),
        (None, []),
        ("", []),
        (float("nan"), []),
        ([], []),
        (r"\text{Evelyn}", [r"\text{Evelyn}"]),
    ],
)
def test_golds_of_every_layout(value, golds):
    assert golds_from(value) == golds


SAME = [
    ("5", "5"),
    ("025", "25"),
    ("+5", "5"),
    ("7.", "7"),
    ("142.0", "142"),
    ("1,234", "1234"),
    ("1{,}234", "1234"),
    ("1,\\!234", "1234"),
    (r"\$5", "5"),
    ("$5$", "5"),
    ("−5", "-5"),
    (r"\frac12", "0.5"),
    (r"\dfrac{1}{2}", "1/2"),
    (r"\frac{4}{6}", "2/3"),
    (r"-\frac{1}{2}", "-0.5"),
    (r"\frac{-1}{2}", r"-\frac{1}{2}"),
    (r"1.2\times 10^{8}", "120000000"),
    (r"5\cdot10^{-1}", "0.5"),
    (r"\left( 1, 2 \right)", "(1,2)"),
    (r"30^\circ", "30"),
    ("30°", "30"),
    (r"\text{Yes}", "yes"),
    (r"\mathbf{5}", "5"),
    (r"\boldsymbol{\text{5}}", "5"),
    (r"x \leq 3", r"x\le 3"),
    (r"\varnothing", r"\emptyset"),
    (r"2\pi", "2π"),
    (r"\{1, 2\}", r"\{1,2\}"),
    ("1 1/2", r"\frac{3}{2}"),
    (r"-1\frac{1}{2}", "-1.5"),
    ("1.2e8", "120000000"),
    ("6e-3", "0.006"),
    (r"1\,234", "1234"),
    (r"\text{The answer is } 13", "13"),
    ("]0,1[", "(0,1)"),
    ("[0,1[", "[0,1)"),
    (r"\langle 1,2\rangle", "(1,2)"),
    ("(C)", "C"),
    (r"50\%", "0.5"),
    ("50%", r"50 \%"),
    (r"50\%", "50"),
    ("9" * 390, "9" * 390 + ".0"),
]
OTHER = [
    ("5", "6"),
    ("1/3", "0.33"),
    ("0.1", "0.1000001"),
    ("1 1/2", "11/2"),  # a mixed number is not eleven halves
    (r"5 \text{ cm}", r"5 \text{ m}"),
    (r"5 \text{ cm}^2", "5 cm"),
    ("12 hours", "12 minutes"),
    ("even", "odd"),
    ("even", "neve"),
    ("-5", "5"),
    ("1/2", "2"),
]
OPEN = [
    ("x+1", "1+x"),
    (r"\sqrt{2}", "1.41"),
    ("3 4", "34"),
    ("1/0", "5"),
    ("(1,2)", "12"),
    ("1e2", "100"),  # e is a number, too
    ("A", "a"),
    ("٥", "5"),
    (r"9^{9^{9^9}}", "1"),
    ("9" * 500, "1"),
    ("1/" + "9" * 500, "1"),
]


@pytest.mark.parametrize(("answer", "gold"), SAME)
def test_same(answer, gold):
    assert compare(answer, [gold]) == EXACT and compare(gold, ["nothing", answer]) == EXACT


@pytest.mark.parametrize(("answer", "gold"), OTHER)
def test_different(answer, gold):
    assert compare(answer, [gold]) == DIFFERENT and compare(gold, [answer]) == DIFFERENT


@pytest.mark.parametrize(("answer", "gold"), OPEN)
def test_left_open(answer, gold):
    assert compare(answer, [gold]) is None


def test_one_gold_that_is_no_number_leaves_it_open():
    assert compare("5", ["6", r"\sqrt{25}"]) is None
    assert compare("5", ["6", r"\sqrt{25}", "5"]) == EXACT


def test_a_very_long_answer_is_compared_as_text():
    assert compare("1+" * 600 + "1", ["601"]) == DIFFERENT
    assert compare("1+" * 600 + "1", ["1+" * 600 + "1"]) == EXACT


@given(st.text(alphabet="\\{}$ boxedfracte512.,-/ \n\0\ud800٥", max_size=60))
def test_any_text_is_read(text):
    answer, reason = find_answer(text, "none")
    assert (answer is None) == (reason is not None)
    form = normal_form(text)
    assert compare(text, [text]) == (EXACT if form else DIFFERENT)
    plain_number(form)
    assert unboxed(text) == unboxed(text).strip()
    golds_from(text)


@given(st.integers(), st.integers(min_value=1))
def test_fractions_are_exact(a, b):
    assert compare(rf"\frac{{{a}}}{{{b}}}", [f"{2 * a}/{2 * b}" if a >= 0 else rf"-\frac{{{-a}}}{{{b}}}"]) == EXACT


@pytest.mark.parametrize(
    "text",
    ["\\boxed{" * 80_000, "{" * 600_000, "}" * 600_000, "\\boxed{" + "x" * 600_000 + "}", "\\boxed{1}" * 60_000],
    ids=["unclosed", "open", "closed", "long", "many"],
)
def test_extraction_is_linear(text):
    started = time.process_time()
    answer, _ = find_answer("</think>" + text, "think")
    if answer:
        compare(answer, ["5"])
    assert time.process_time() - started < 2


def test_the_fast_path_takes_microseconds():
    started = time.process_time()
    for n in range(2000):
        compare(str(n), ["117"])
    assert (time.process_time() - started) / 2000 < 100e-6
