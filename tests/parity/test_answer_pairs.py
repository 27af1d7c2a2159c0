"""Our grading against plain math-verify on a table of pairs: more right, and nothing wrong called correct."""

import logging

import pytest

from polaris.grading.grading_pool import GradingPool
from tests.helpers.answer_pairs import OTHER, SAME

PAIRS = [(gold, answer, True) for gold, answer in SAME] + [(gold, answer, False) for gold, answer in OTHER]


@pytest.fixture(scope="module")
def ours() -> list[bool]:
    with GradingPool(timeout=10.0, workers=1) as pool:
        return [v.correct for v in pool.grade_answers([([gold], answer) for gold, answer, _ in PAIRS])]


def plain_math_verify(gold: str, answer: str) -> bool:
    """As verl and lm-eval call it."""
    from math_verify import parse, verify

    return verify(parse(f"${gold}$"), parse(f"The answer is $\\boxed{{{answer}}}$"))


def test_the_table_is_decided_rightly(ours):
    assert len(PAIRS) >= 150
    assert [pair for pair, verdict in zip(PAIRS, ours, strict=True) if verdict != pair[2]] == []


def test_more_right_than_plain_math_verify(ours):
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    right = sum(plain_math_verify(gold, answer) == same for gold, answer, same in PAIRS)
    print(
        f"plain math-verify: {right} of {len(PAIRS)} right; ours: "
        f"{sum(v == p[2] for v, p in zip(ours, PAIRS, strict=True))}"
    )
    assert right < sum(verdict == pair[2] for verdict, pair in zip(ours, PAIRS, strict=True))
