"""The plain questions: a set of them, and what counts as an answer."""

import pytest
from pydantic import ValidationError

from polaris.grading.answers import NO_ANSWER, find_answer
from polaris.grading.grading_pool import GradingPool
from polaris.problems.english.questions import QUESTIONS
from polaris.problems.make_problems import rows
from polaris.problems.settings import MadeProblems

SETTINGS = {"family": "questions", "pool": "benchmark", "count": 64, "depth": [1, 1], "error_rate": 0.0, "seed": 1}


def test_every_question_is_asked_once() -> None:
    made = rows(MadeProblems.model_validate(SETTINGS))
    assert {row["problem"] for row in made} == QUESTIONS.keys() and len(made) == len(QUESTIONS) == 64
    assert all(row["answers"] and row["solution"] is None for row in made)
    some = rows(MadeProblems.model_validate(SETTINGS | {"count": 8}))
    assert len(some) == 8 and some == rows(MadeProblems.model_validate(SETTINGS | {"count": 8}))


@pytest.mark.parametrize("change", [{"pool": "train"}, {"count": 65}])
def test_they_are_for_benchmarks(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="questions are for pool: benchmark, and there are 64 of them"):
        MadeProblems.model_validate(SETTINGS | change)


def test_no_question_gives_its_answer_away() -> None:
    told = [text for text, golds in QUESTIONS.items() if find_answer(text, "mention", golds.split("|"))[0]]
    assert told == []


@pytest.mark.parametrize(
    ("response", "golds", "right"),
    [
        ("The capital of France is Paris.", ["Paris"], True),
        ("PARIS!", ["Paris"], True),
        ("The capital of France is Parisian.", ["Paris"], False),
        ("A spider has eight legs.", ["8", "eight"], True),
        ("A spider has 18 legs.", ["8", "eight"], False),
        ("Its symbol is H2O", ["H2O"], True),
        ("Paris?\n</think>\nIt is Lyon.", ["Paris"], False),
        ("", ["Paris"], False),
    ],
)
def test_the_answer_is_named_in_words(response: str, golds: list[str], right: bool) -> None:
    with GradingPool(5.0, 1, "polaris") as pool:
        (verdict,) = pool.grade([(golds, response)], "mention")
    assert verdict.correct is right and (right or verdict.reason == NO_ANSWER)
