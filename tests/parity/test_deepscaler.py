"""`grader: deepscaler` against verl's copy of the same code (prime_math, from PRM800K), on the table of pairs."""

import pytest

from polaris.grading import deepscaler_equal
from tests.helpers.answer_pairs import OTHER, SAME

TEXTS = sorted({text for pair in SAME + OTHER for text in pair} | {
    "", "a/b", "3/0", "-1/2", "1/-2", "007/2", r"\frac12x", r"\frac1{72}", r"\frac{72}1", r"\sqrt3x", "k = 5", "abc=5",
    r"5\text{ cm}\text{ x}", r"\text{5 cm}", "3 million", "12 inches^2", "{5}", "7 3/4", "1,234.0", "nan", "inf",
    "1e400",
})  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    return pytest.importorskip("verl.utils.reward_score.prime_math", reason="verl is not installed here")


def test_hendrycks_form(reference):
    ours = {text: deepscaler_equal.hendrycks_form(text) for text in TEXTS}
    assert ours == {text: reference.math_normalize.normalize_answer(text) for text in TEXTS}


def test_prm800k_form(reference):
    def theirs(text: str) -> str:
        try:
            return reference._normalize(text)
        except (OverflowError, ValueError):  # of infinity, which they take for an integer
            return deepscaler_equal.prm800k_form(text)

    assert {text: deepscaler_equal.prm800k_form(text) for text in TEXTS} == {text: theirs(text) for text in TEXTS}


def test_verdicts(reference, monkeypatch):
    def without_clock(gold: str, answer: str) -> bool:
        """verl's function forks a process for each call; this is its body."""
        difference = f"({gold})-({answer})"
        try:
            allowed = reference.should_allow_eval(difference)
            return allowed and reference.sympy.simplify(reference._sympy_parse(difference)) == 0
        except Exception:  # noqa: BLE001 (as in the original)
            return False

    monkeypatch.setattr(reference, "are_equal_under_sympy", without_clock)
    for gold, answer in SAME + OTHER:
        assert deepscaler_equal.equal(gold, answer) == reference.grade_answer(answer, gold), (gold, answer)
