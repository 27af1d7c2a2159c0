"""The word problems: golds by another way, stories that training and benchmarks do not share, English sentences."""

import random
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polaris.problems.english.stories import BENCHMARK, DISTRACTORS, TRAIN
from polaris.problems.english.words import LARGEST, STORIES, Words, make_words
from polaris.problems.make_problems import rows
from polaris.problems.settings import MadeProblems
from polaris.problems.tiny_problems import answer, draw, pool_of, solve

# Story -> its answer, from the numbers in the order in which the text has them. Written apart from the stories' steps.
ANSWERS = {
    "boxes": lambda n: n[0] * n[1] - n[2],
    "bus": lambda n: n[0] - n[1] + n[2],
    "book": lambda n: n[0] - n[1] * n[2],
    "share": lambda n: (n[0] + n[1]) / n[2],
    "change": lambda n: n[2] - n[0] * n[1],
    "twice": lambda n: 3 * n[0],
    "orchard": lambda n: n[0] * n[1] - n[2],
    "saving": lambda n: n[0] + n[1] * n[2],
    "rolls": lambda n: n[0] / 2 - n[1],
    "club": lambda n: (n[0] + n[1]) / n[2],
    "market": lambda n: n[0] * n[1] + n[2] * n[3],
    "zoo": lambda n: n[0] * n[2] + n[1] * n[3],
    "three days": lambda n: 2 * n[0] + n[1] + n[2],
    "cookies": lambda n: (n[0] * n[1] - n[2]) / n[3],
    "car park": lambda n: n[0] * n[1] - n[2] - n[3],
    "ribbon": lambda n: n[0] - n[1] * n[2] - n[3],
    "wages": lambda n: n[0] * (n[1] + n[2]) - n[3],
    "fewer": lambda n: 3 * (n[0] - n[1]),
    "library": lambda n: n[0] * n[1] - n[2] + n[3],
    "eggs": lambda n: (n[0] * n[1] - n[2]) / n[3],
    "trip": lambda n: (n[0] * n[1] - n[2] + n[3]) / n[4],
    "stall": lambda n: n[0] * n[1] + n[2] * n[3] - n[4],
    "cousins": lambda n: (n[0] * n[1] + n[2] - n[3]) / n[4],
    "garden": lambda n: n[0] * n[1] + n[2] * n[3] - n[4],
    "tank": lambda n: n[0] - n[1] * n[2] + n[3] - n[4],
    "training": lambda n: n[0] * n[1] + n[2] * n[3] - n[4],
    "holiday": lambda n: n[0] + n[1] * n[2] - n[3] * n[4],
    "collection": lambda n: 5 * n[0] + n[1],
    "train": lambda n: n[0] * n[1] - n[2],
    "beach": lambda n: 2 * n[0] - n[1],
    "rope": lambda n: (n[0] - n[1]) / n[2],
    "homework": lambda n: (n[0] + n[1]) * n[2],
    "cinema": lambda n: n[0] * n[1] - n[2] - n[3],
    "pens": lambda n: n[0] - n[1] * n[2] - n[3],
    "farm": lambda n: 4 * n[0] - n[1],
    "pickers": lambda n: (n[0] + n[1] + n[2]) / n[3],
    "restaurant": lambda n: n[0] * n[1] + n[2] * n[3] - n[4],
    "pocket money": lambda n: n[0] + (n[1] - n[2]) * n[3] - n[4],
    "loaves": lambda n: (n[0] * n[1] - n[2] - n[3]) / n[4],
    "ages": lambda n: 5 * n[0] - n[1],
}
UNDERLINED = re.compile(r"\\underline\{(\d+)([-+*/])(\d+)=(\d+)\}")
SETTINGS: dict[str, Any] = {"family": "words", "pool": "train", "count": 400, "depth": [2, 4], "error_rate": 0.0}


def problem_of(name: str, seed: int) -> Words:
    rng = random.Random(seed)
    while (problem := make_words(len(STORIES[name].steps), rng)).name != name:
        pass
    return problem


@pytest.mark.parametrize("name", STORIES)
@given(seed=st.integers(0, 10**6))
def test_the_gold_is_what_the_text_says(name: str, seed: int) -> None:
    """The numbers as they stand in the text, without the sentence of no use."""
    problem = problem_of(name, seed)
    assert problem.distractor in problem.text
    numbers = [int(number) for number in re.findall(r"\d+", problem.text.replace(problem.distractor, ""))]
    assert ANSWERS[name](numbers) == int(answer(problem))


@pytest.mark.parametrize("name", STORIES)
def test_solutions_are_right_step_by_step(name: str) -> None:
    for seed in range(20):
        problem = problem_of(name, seed)
        solution = solve(problem, random.Random(seed), error_rate=0, underlined=True)
        steps = UNDERLINED.findall(solution)
        assert len(steps) == len(STORIES[name].steps) == solution.count(r"\underline")
        for left, operator, right, result in steps:
            value = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__truediv__}[operator]
            assert value(int(left), int(right)) == int(result) and 1 <= int(result) <= LARGEST
        assert solution.endswith(f"\n</think>\n\n\\boxed{{{steps[-1][-1]}}}")


def test_all_stories_are_told_and_solved_by_hand() -> None:
    assert ANSWERS.keys() == STORIES.keys() == TRAIN.keys() | BENCHMARK.keys()
    for pool in (TRAIN, BENCHMARK):
        assert {len(story.steps) for story in pool.values()} == {2, 3, 4}


def test_training_and_benchmarks_share_no_story() -> None:
    """Not by name, and not by text: no run of 8 words that are not slots is in both."""
    assert not TRAIN.keys() & BENCHMARK.keys()

    def runs(stories: dict[str, Any]) -> set[tuple[str, ...]]:
        texts = [re.sub(r"\{\w+\}", "_", story.story).split() for story in stories.values()]
        return {tuple(words[i : i + 8]) for words in texts for i in range(len(words) - 7)}

    assert not runs(TRAIN) & runs(BENCHMARK)
    rng = random.Random(1)
    for wanted, stories in (("train", TRAIN), ("benchmark", BENCHMARK)):
        drawn = [draw("words", (2, 4), wanted, rng) for _ in range(600)]
        assert {problem.name for problem in drawn} == stories.keys(), "every story is told"
        assert {pool_of(problem) for problem in drawn} == {wanted}


@given(seed=st.integers(0, 10**6), depth=st.integers(2, 4))
def test_texts_are_sentences(seed: int, depth: int) -> None:
    text = make_words(depth, random.Random(seed)).text
    assert "{" not in text and "  " not in text and text.endswith("?") and text.count("?") == 1
    assert all(sentence[0].isupper() for sentence in re.split(r"(?<=[.?]) ", text))


def test_a_sentence_of_no_use_is_in_some() -> None:
    rng = random.Random(0)
    drawn = [make_words(3, rng) for _ in range(500)]
    assert 0.2 < sum(bool(problem.distractor) for problem in drawn) / 500 < 0.4
    assert all(next(iter(string.Formatter().parse(text)))[1] == "n" for text in DISTRACTORS)


def test_slips_spoil_answers_and_go_on() -> None:
    rng = random.Random(2)
    wrong = 0
    for _ in range(300):
        problem = make_words(3, rng)
        _, final = problem.work(rng, error_rate=0.3)
        wrong += final != answer(problem)
    assert 0.4 < wrong / 300 < 0.75  # 1 - 0.7**3 = 0.66, less what a division rounds away


def test_sets_repeat_and_differ_by_seed() -> None:
    first, again, other = (rows(MadeProblems.model_validate(SETTINGS | {"seed": seed})) for seed in (1, 1, 2))
    assert first == again != other
    assert len({row["problem"] for row in first}) == 400


@pytest.mark.parametrize("depth", [[1, 4], [2, 5], [4, 2]])
def test_other_depths_are_refused(depth: list[int]) -> None:
    with pytest.raises(ValidationError, match=r"depth must lie within \[2, 4\] for words"):
        MadeProblems.model_validate(SETTINGS | {"seed": 1, "depth": depth})
