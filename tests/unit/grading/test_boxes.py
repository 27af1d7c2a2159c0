r"""What stands in the boxes of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.grading.boxes import boxed_answer

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
    (r"\boxed{\boxed{7}}", "7"),
    (r"{{{ \boxed{7} }", "7"),
    (r"}}} \boxed{7}", "7"),
    (r"\boxed 5", "5"),
    (r"\boxed5.", "5"),
    (r"\boxed12", ""),
    (r"\boxed", ""),
    ("5", ""),
    ("", ""),
    (r"\boxed{}", ""),
    (r"\boxed{5} \boxed{}", "5"),
    (r"\boxed{5}, so \boxed{ }", "5"),
    (r"$\boxed{2}$ and $\boxed{3}$", "2, 3"),
    (r"\boxed{2}, \boxed{3}, \boxed{2}", "2, 3"),
    (r"\boxed{5} \boxed{5}", "5"),
    (r"\boxed{1} hence \boxed{2} or \boxed{3}", "2, 3"),
    (r"\boxed{5 \boxed{6}}", r"5 \boxed{6}"),
    (r"\boxed{x=\boxed{6}}", r"x=\boxed{6}"),
    (r"\boxed{\fbox{ 5 }.}", "5"),
]


@pytest.mark.parametrize(("text", "answer"), BOXES)
def test_boxes(text, answer):
    assert boxed_answer(text) == answer


def test_a_bare_text_is_its_own_answer():
    assert boxed_answer(" 5 ", bare=True) == "5" and boxed_answer(r"\boxed{}", bare=True) == ""
    assert boxed_answer(r"so \boxed{6}", bare=True) == "6"


@given(st.text(alphabet="\\{}boxedf 5,", max_size=60))
def test_any_text(text):
    assert boxed_answer(text) == boxed_answer(text).strip() and len(boxed_answer(text)) <= 2 * len(text)
