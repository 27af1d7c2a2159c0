"""Gold answers in the forms that data sets give them, and what is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.problems.gold_answers import gold_answers

HALF = "\\frac{1}{2}"


@pytest.mark.parametrize(
    ("value", "golds"),
    [
        ("5", ["5"]),
        ({"value": "5"}, ["5"]),
        ({"value": 5, "unit": None}, ["5"]),
        ('{"value": "5"}', ["5"]),
        ('["2", "-2"]', ["2", "-2"]),
        ([' ["2","-2"] '], ["2", "-2"]),
        ('["\\\\frac{1}{2}"]', [HALF]),
        ('["\\frac{1}{2}"]', [HALF]),  # LaTeX put into JSON as it is: \f would be a form feed
        ('["\\sqrt{2}"]', ["\\sqrt{2}"]),
        ("[1, 2]", ["[1, 2]"]),  # an interval
        ("[2]", ["[2]"]),
        ('{"a"}', ['{"a"}']),
        ("{1, 2}", ["{1, 2}"]),
        ("[" * 100_000, ["[" * 100_000]),
        (np.array(["1", "-1"]), ["1", "-1"]),
        ([142.0, None, "142"], ["142"]),
        ("no solution", ["no solution"]),
        ("0", ["0"]),
    ],
)
def test_forms(value, golds):
    assert gold_answers(value) == golds


@pytest.mark.parametrize(
    "value",
    ["proof", "Proof.", "notfound", "not found", "None", "nan", "NaN", "null", "N/A", "See solution",
     "see the solution.", "\\boxed{None}", ["None", "proof"], {"value": "nan"}, '["None"]', None, float("nan"), "", []],
)  # fmt: skip
def test_what_says_that_there_is_none(value):
    assert gold_answers(value) == []


@pytest.mark.parametrize("value", [{}, {"x": 1}, {"value": 1, "answer": 2}, [{"x": 1}]])
def test_an_object_without_an_answer_is_refused(value):
    with pytest.raises(ValueError, match="its gold answer is an object with the keys"):
        gold_answers(value)


@given(st.text())
def test_a_text_is_itself_or_holds_texts(text):
    assert all(isinstance(gold, str) and gold for gold in gold_answers(text))
