r"""Which answers a gold accepts, by kind; with real numbers, as a grading process has them."""

import pytest

from polaris.grading.equality import reals
from polaris.grading.equality.acceptance import equal_texts
from polaris.grading.equality.exact import Undecided
from tests.helpers.answer_kinds import DIFFERENT, EQUAL
from tests.helpers.answer_pairs import OTHER, SAME


@pytest.mark.parametrize(("gold", "answer"), EQUAL + SAME)
def test_accepted(gold, answer):
    assert equal_texts(gold, answer, reals)


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT + OTHER)
def test_refused(gold, answer):
    assert not equal_texts(gold, answer, reals)


@pytest.mark.parametrize("text", sorted({text for pair in EQUAL + SAME + DIFFERENT + OTHER for text in pair}))
def test_every_text_equals_itself(text):
    assert equal_texts(text, text, reals)


# What a gold leaves open and its answer says, or the other way round, is accepted in one direction only.
ONE_WAY = [
    (r"1101_2", "1101"),
    ("3:30", "3:30 PM"),
    ("A", "a"),
    ("12", r"\text{(C) } 12"),
    (r"0,1", "x_1=1, x_2=0"),
    ("17", "a+b=17"),
    ("5_6", "5"),
    ("1", "x+y=1"),
]


@pytest.mark.parametrize(("gold", "answer"), ONE_WAY)
def test_accepted_one_way_only(gold, answer):
    assert equal_texts(gold, answer, reals) and not equal_texts(answer, gold, reals)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [("x=5", "y=5"), (r"100\text{ cm}", r"1\text{ m}"),
     (r"1\text{ h}", r"60\text{ min}"), (r"\pi", "180"), ("0.5", r"1\text{ half}"), (r"\log 2", r"\ln 2"),
     ("x+1", "1"), ("2x=5", "5"), (r"\{\emptyset\}", r"\emptyset"), ("1,2", r"\{1,2,2,3\}")],
)  # fmt: skip
def test_refused_both_ways(gold, answer):
    assert not equal_texts(gold, answer, reals) and not equal_texts(answer, gold, reals)


@pytest.mark.parametrize(
    ("irrational", "same", "other"),
    [(r"\pi", ["3.14159", "3.141593", "3.14159265"], ["3.1416", "3.14160", "3.14158", "314159"]),
     (r"-\sqrt{2}", ["-1.41421", "-1.414213", "-1.414214"], ["1.41421", "-1.41422", "-1.4142"]),
     (r"\frac{1}{3}", [], ["0.333333", "0.3333333333"]), (r"\ln 2", ["0.693147"], ["0.69315", "0.693148"])],
)  # fmt: skip
def test_six_digits_of_an_irrational_number(irrational, same, other):
    """Rounded or cut; an exact fraction has an exact decimal, or none."""
    assert [text for text in same if not equal_texts(irrational, text, reals)] == []
    assert [text for text in other if equal_texts(irrational, text, reals)] == []


def test_roots_and_functions_are_left_to_a_process_with_real_numbers():
    assert equal_texts(r"\frac{x}{2}+1", r"\frac{x+2}{2}") and not equal_texts("2^{2024}", "2^{2023}")
    for gold, answer in ((r"2\sqrt{2}", r"\sqrt{8}"), (r"\sin^2 x", r"1-\cos^2 x"), ("(-2,2)", "x^2<4")):
        with pytest.raises(Undecided):
            equal_texts(gold, answer)


def test_what_is_too_large_equals_itself_only():
    tower = "9^{9^{9^9}}"
    assert equal_texts(tower, tower, reals) and not equal_texts(tower, "1", reals)
    assert not equal_texts("2^{10^{9}}", "2^{10^{9}}+1", reals)
