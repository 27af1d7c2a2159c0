"""The final answer of a response, golds in every layout, the normal form."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.grading.answers import (
    NO_ANSWER,
    NO_THINK,
    find_answer,
    golds_from,
    normal_form,
    plain_number,
)


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
        (r"a</think>\boxed{5} and \boxed{}", "5", "5"),
        (r"a</think>$\boxed{2}$ and $\boxed{3}$.", "2, 3", "2, 3"),
        (r"a</think>\boxed5", "5", "5"),
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
        ('["\\\\frac{1}{2}"]', [r"\frac{1}{2}"]),
        ('["2", "-2"]', ["2", "-2"]),
        ('["2", 3]', ['["2", 3]']),
        ("[1, 2]", ["[1, 2]"]),
        ("proof", []),
        (["None", "nan", "5"], ["5"]),
        (r"\text{none}", [r"\text{none}"]),
    ],
)
def test_golds_of_every_layout(value, golds):
    assert golds_from(value) == golds


@given(st.text(alphabet="\\{}$ boxedfracte512.,-/ \n\0\ud800٥", max_size=60))
def test_any_text_is_searched(text):
    answer, reason = find_answer(text, "none")
    assert (answer is None) == (reason is not None)
    plain_number(normal_form(text))
    golds_from(text)


@pytest.mark.parametrize(
    "text",
    ["\\boxed{" * 80_000, "{" * 600_000, "}" * 600_000, "\\boxed{" + "x" * 600_000 + "}", "\\boxed{1}" * 60_000],
    ids=["unclosed", "open", "closed", "long", "many"],
)
def test_extraction_is_linear(text):
    started = time.process_time()
    find_answer("</think>" + text, "think")
    assert time.process_time() - started < 2
