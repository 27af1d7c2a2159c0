"""Every planted copy of a held-out problem is found, and nothing else."""

import os
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.problems.contamination import Held, HeldOut, leaks
from polaris.problems.problem_text import words
from tests.helpers.tables import read_problem_file

DATA = os.environ.get("POLARIS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="POLARIS_DATA names no folder with real problem files")
AYA = (
    "Every morning Aya goes for a $9$-kilometer-long walk and stops at a coffee shop afterwards. When she walks at a "
    r"constant speed of $s+\frac{1}{2}$ kilometers per hour, the walk takes her $2$ hours. Find the number of minutes."
)
SHORT = "How many up quarks does a tritium ($H^3$) nucleus contain?"
COMMON = (
    "where $m$ and $n$ are relatively prime positive integers greater than one hundred. Find the sum $m+n$ and explain."
)


def held_out(*texts: str, n: int = 13) -> HeldOut:
    return HeldOut([Held("bench", str(number), text) for number, text in enumerate(texts)], n)


def found_ids(texts, held, template_at=8) -> dict[int, str]:
    return {number: leak.held.id for number, leak in leaks(texts, held, template_at).items()}


@pytest.mark.parametrize(
    "text",
    [
        AYA,
        AYA.upper(),
        AYA.replace("$", ""),
        AYA.replace(".", ";").replace(",", ""),
        AYA.replace(r"\frac{1}{2}", r"\dfrac12").replace("+", r" \, + \; "),
        "A warm-up before the contest. " + AYA + " Give the answer as a decimal.",
        AYA[40:190],
        " ".join(AYA.split()).replace(" ", "\n"),
    ],
)
def test_a_copy_is_found(text):
    (leak,) = leaks(["Nothing of it here.", text], held_out(SHORT, AYA), 8).values()
    assert (leak.held.benchmark, leak.held.id) == ("bench", "1")
    assert leak.span in " ".join(words(text)) and len(leak.span.split()) >= 13


def test_the_span_is_the_longest_run():
    part = " ".join(AYA.split()[:20])
    (leak,) = leaks([f"Before. {part} unlike. After."], held_out(AYA), 8).values()
    assert leak.span == " ".join(words(part)) and 0 < leak.covered < 0.5


@pytest.mark.parametrize("text", [SHORT, "Physics: how many up quarks does a tritium (H^3) nucleus contain"])
def test_a_short_problem_is_found_as_a_whole(text):
    assert found_ids([text], held_out(AYA, SHORT)) == {0: "1"}


@pytest.mark.parametrize(
    "text", ["How many down quarks does a tritium ($H^3$) nucleus contain?", "How many up quarks?"]
)
def test_a_part_of_a_short_problem_is_no_leak(text):
    assert found_ids([text], held_out(AYA, SHORT)) == {}


def test_what_two_benchmark_problems_share_is_a_template():
    circle = (
        "The area of the smallest circle that passes through both foci of an ellipse with axes of length six and ten "
        "is m/n, "
    )
    bag = (
        "A bag holds red, green and blue marbles; the chance that two drawn at random without looking are alike is "
        "m/n, "
    )
    assert (
        found_ids(
            [f"The probability of rain on seven days in a row is m/n, {COMMON}"],
            held_out(circle + COMMON, bag + COMMON),
        )
        == {}
    )
    assert found_ids([circle + COMMON], held_out(circle + COMMON, bag + COMMON)) == {0: "0"}


def test_what_many_training_problems_share_is_a_template():
    held = held_out("Two ships leave a harbour at noon on courses that differ by sixty degrees and sail on, " + COMMON)
    texts = [f"Problem {name} begins so, {COMMON}" for name in "abcdefgh"]
    assert found_ids(texts, held, template_at=8) == {}
    assert found_ids(texts[:7], held, template_at=8) == dict.fromkeys(range(7), "0")


def test_many_copies_are_no_template():
    assert len(found_ids([f"Copy {i}: {AYA}" for i in range(30)], held_out(AYA), template_at=8)) == 30


def test_the_same_problem_in_two_benchmarks_is_held_out_all_the_same():
    assert len(found_ids([AYA], held_out(AYA, AYA + " Good luck."))) == 1


def test_an_enumeration_is_no_leak():
    numbers = ", ".join(map(str, range(1, 30)))
    assert (
        found_ids([f"Add {numbers}."], held_out(f"Which of the numbers {numbers} are the divisors of some cube?")) == {}
    )


VOCABULARY = [
    "ship", "harbour", "circle", "prime", "marble", "river", "angle", "cube", "minute", "garden", "seven", "paint",
    "length", "fence",
]  # fmt: skip
WORDS = st.sampled_from(VOCABULARY)


@given(st.lists(WORDS, min_size=3, max_size=60), st.lists(WORDS, max_size=10), st.randoms(use_true_random=False))
def test_every_planted_copy_is_found(problem, around, rng: random.Random):
    text = " ".join(
        rng.choice([w, w.upper(), w.title()]) + rng.choice(["", ",", ".", " $", r" \,", "\n"]) for w in problem
    )
    planted = " ".join([*around, text, *around])
    assert found_ids([planted], held_out(" ".join(problem))) == {0: "0"}


def dress(text: str, rng: random.Random) -> str:
    """Another case, other punctuation, other LaTeX spaces."""
    text = "".join(rng.choice([part, part.upper(), part.lower()]) for part in re.split(r"(\\[a-zA-Z]+|\s)", text))
    text = re.sub(
        r"\$([^$]*)\$", lambda m: rng.choice([f"${m[1]}$", rf"\({m[1]}\)", f"$ {m[1]} $", f"$$ {m[1]}$$"]), text
    )
    return re.sub(r"[,;:.?](?=\s|$)", lambda m: rng.choice([m[0], "", " ,", ";"]), text)


@needs_data
@pytest.mark.slow
def test_real_benchmarks():
    """No GSM8K problem is taken for one of AIME24, AMC23 or Minerva; their planted copies all are."""
    held = []
    for name in ("aime24", "amc23", "minerva"):
        path = Path(DATA, "benchmarks", f"{name}.parquet")
        held += [Held(name, row["id"], row["problem"]) for row in read_problem_file(path, name)]
    path = Path(DATA, "gsm8k_test.jsonl")
    gsm8k = [row["problem"] for row in read_problem_file(path, "gsm8k")]
    index, rng = HeldOut(held, 13), random.Random(0)
    assert leaks(gsm8k, index, 8) == {}
    for change in (str, lambda text: f"{rng.choice(gsm8k)} {text} {rng.choice(gsm8k)}", lambda text: dress(text, rng)):
        planted = [change(one.text) for one in held]
        found = leaks([*gsm8k, *planted], index, 8)
        assert sorted(found) == list(range(len(gsm8k), len(gsm8k) + len(held)))
        # Some problems of Minerva are the same story with another question: any of them may be named.
        right = sum(leak.held is held[number - len(gsm8k)] for number, leak in found.items())
        assert right > 0.95 * len(held)
