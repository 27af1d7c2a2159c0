"""Duplicates are found whatever their dress; stories with other numbers are none."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.problems.duplicates import hashed_ngrams, near_duplicates, same_text
from polaris.problems.problem_text import tokens

STORY = (
    "A farmer has {} cows and {} sheep on a green hill near the old river, and every morning he sells some of the milk "
    "at the market for {} dollars a bottle. How many dollars does he earn in a week if each cow gives three bottles?"
)


def near(texts, golds=None, n=3, share=0.8):
    return near_duplicates([tokens(text) for text in texts], golds or [["1"]] * len(texts), n, share)


def test_the_same_text_in_another_dress():
    texts = ["Find $x+1$.", "Find  $x + 1$", "Find $x-1$.", "FIND x+1 ?"]
    found = same_text([tokens(text) for text in texts])
    assert {number: one.earlier for number, one in found.items()} == {1: 0, 3: 0}


def test_nearly_the_same_words():
    text = STORY.format(3, 4, 5)
    found = near(
        [text, text.replace("green", "grassy"), "Something else entirely, and of some length, too, to be sure."]
    )
    assert list(found) == [1] and found[1].earlier == 0 and 0.8 <= found[1].share < 1


def test_other_numbers_and_another_answer_are_another_problem():
    texts = [STORY.format(3, 4, 5), STORY.format(3, 9, 5)]
    assert list(near(texts, [["105"], ["105"]])) == [1]
    assert near(texts, [["105"], ["106"]]) == {}
    assert list(near(texts, [[], []])) == [1]


def test_a_dropped_problem_makes_no_other_go():
    words = [f"w{i}" for i in range(60)]
    chain = [[*words[:60]], [*words[:57], "a", "b", "c"], [*words[:54], "d", "e", "f", "a", "b", "c"]]
    found = near_duplicates(chain, [[], [], []], 2, 0.9)
    assert list(found) == [1]  # the third is like the second, but not like the first, which is what stays


def test_a_template_in_front_of_many_does_not_hide_a_pair():
    rng = random.Random(0)
    template = [
        "let", "m", "and", "n", "be", "relatively", "prime", "positive", "integers", "such", "that", "the", "area",
        "is", "m", "over", "n", "and", "find", "their", "sum",
    ]  # fmt: skip
    bodies = [[rng.choice("abcdefghij") * 2 + str(rng.randrange(99)) for _ in range(30)] for _ in range(40)]
    problems = [[*body, *template] for body in bodies]
    problems.append([*bodies[20][:29], "other", *template])
    found = near_duplicates(problems, [[]] * 41, 5, 0.7)
    assert {number: one.earlier for number, one in found.items()} == {40: 20}


TOKENS = st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=8)


def ngrams(tokens, n):
    return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}


@given(TOKENS, st.integers(1, 4))
def test_hashes_are_those_of_ngrams(problems, n):
    hashes, owners = hashed_ngrams(problems, n)
    plain = [(tuple(p[i : i + n]), number) for number, p in enumerate(problems) for i in range(len(p) - n + 1)]
    assert owners.tolist() == [number for _, number in plain]
    assert len(set(hashes.tolist())) == len({gram for gram, _ in plain})
    assert len(set(zip(hashes.tolist(), plain, strict=True))) == len(set(plain))


@given(TOKENS, st.integers(1, 3), st.sampled_from([0.5, 0.8, 1.0]))
def test_every_pair_is_one_and_the_first_stays(problems, n, share):
    found = near_duplicates(problems, [[]] * len(problems), n, share)
    for number, one in found.items():
        a, b = ngrams(problems[number], n), ngrams(problems[one.earlier], n)
        assert one.earlier < number and one.earlier not in found
        assert one.share == pytest.approx(len(a & b) / len(a | b)) and one.share >= share


@given(st.lists(st.integers(0, 10**6), min_size=20, max_size=60, unique=True), st.data())
def test_a_pair_alone_is_found(numbers, data):
    problem = [str(number) for number in numbers]
    place = data.draw(st.integers(0, len(problem) - 1))
    changed = [*problem[:place], "other", *problem[place + 1 :]]
    a, b = ngrams(problem, 3), ngrams(changed, 3)
    expected = len(a & b) / len(a | b) >= 0.6
    assert bool(near_duplicates([problem, changed], [[], []], 3, 0.6)) == expected
