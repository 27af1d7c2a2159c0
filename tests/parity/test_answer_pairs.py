"""Our grading against plain math-verify on a table of pairs: more right, and nothing wrong called correct."""

import json
import logging
import os
import time
from pathlib import Path

import pytest

from polaris.grading.answers import golds_from
from polaris.grading.grading_pool import GradingPool
from tests.helpers.answer_kinds import DIFFERENT, EQUAL
from tests.helpers.answer_pairs import OTHER, SAME

DATA = os.environ.get("POLARIS_DATA")
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


def test_its_neighbours_are_decided_rightly():
    pairs = [(gold, answer, True) for gold, answer in EQUAL] + [(gold, answer, False) for gold, answer in DIFFERENT]
    with GradingPool(timeout=10.0, workers=1) as pool:
        verdicts = pool.grade_answers([([gold], answer) for gold, answer, _ in pairs])
    assert [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.correct != pair[2]] == []


@pytest.mark.skipif(DATA is None, reason="POLARIS_DATA names no folder with a table of answers")
def test_the_table_of_public_reports():
    """Rows of gold, answer and whether it is correct; a wrong answer that is called correct is the worst."""
    rows = [json.loads(line) for line in (Path(DATA) / "answer_pairs.jsonl").read_text().splitlines()]
    with GradingPool(timeout=10.0, workers=1) as pool:
        pool.grade_answers([(["e"], "1/e")])
        started = time.perf_counter()
        verdicts = pool.grade_answers([(golds_from(row["gold"]), row["answer"]) for row in rows])
        seconds = time.perf_counter() - started
    accepted = [row for row, v in zip(rows, verdicts, strict=True) if v.correct and not row["correct"]]
    refused = [row for row, v in zip(rows, verdicts, strict=True) if not v.correct and row["correct"]]
    right = len(rows) - len(accepted) - len(refused)
    print(f"{right} of {len(rows)} right, {len(accepted)} wrong ones called correct, {seconds:.1f} seconds")
    assert accepted == [] and refused == []


def test_more_right_than_plain_math_verify(ours):
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    right = sum(plain_math_verify(gold, answer) == same for gold, answer, same in PAIRS)
    print(
        f"plain math-verify: {right} of {len(PAIRS)} right; ours: "
        f"{sum(v == p[2] for v, p in zip(ours, PAIRS, strict=True))}"
    )
    assert right < sum(verdict == pair[2] for verdict, pair in zip(ours, PAIRS, strict=True))
