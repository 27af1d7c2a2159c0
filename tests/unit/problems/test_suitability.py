"""Unsuitable problems are dropped with the text that shows why; good ones stay."""

import os
import time
from pathlib import Path

import pytest

from polaris.problems.suitability import unsuitable
from tests.helpers.tables import read_problem_file

DATA = os.environ.get("POLARIS_DATA")
RULES = ["no_gold", "prose_gold", "proof", "multiple_choice", "multi_part"]
CHOICES = r" $\textbf{(A)}\ 1 \qquad\textbf{(B)}\ 2 \qquad\textbf{(C)}\ 3 \qquad\textbf{(D)}\ 4$"


@pytest.mark.parametrize(
    ("text", "golds", "reason"),
    [
        ("Find x.", [], "no_gold"),
        ("Find x.", ["It is the number that the problem asks for"], "prose_gold"),
        ("x" * 301, ["1"], "too_long"),
        ("Prove that there are infinitely many primes.", ["1"], "proof"),
        ("Let $n$ be odd. Show that $n^2-1$ is divisible by 8.", ["1"], "proof"),
        ("If $a>b$, prove the inequality $a+c>b+c$.", ["1"], "proof"),
        ("How many primes are even?" + CHOICES, ["1"], "multiple_choice"),
        ("How many primes are even? (A) 1 (B) 2 (C) 3", ["A"], "multiple_choice"),
        ("What is the unit digit? (a) 0 (b) 1 (c) 2 (d) 5", ["e"], "multiple_choice"),
        ("Which is even?\nA. 1\nB. 2\nC. 3\nD. 5", ["2"], "multiple_choice"),
        ("Given f. (a) Find f(1). (b) Determine all roots.", ["1"], "multi_part"),
        ("Let $x=2$. (1) Find the range of f; (2) If f is odd, find a. (2) Solve f(x)=0.", ["1"], "multi_part"),
        ("(i) Compute A. (ii) Compute B.", ["1"], "multi_part"),
    ],
)
def test_unsuitable(text, golds, reason):
    found = unsuitable(text, golds, RULES, 300)
    assert found and found[0] == reason and len(found[1]) < 300
    if reason not in ("no_gold", "too_long"):
        assert found[1].split()[0] in text + golds[0]


@pytest.mark.parametrize(
    ("text", "golds"),
    [
        ("Find all $n$ such that $2^n+1$ is prime. Prove that there are no others.", ["1"]),
        ("It can be proven that a limit exists. Find it.", ["1"]),
        ("She wants to show that she can run. How many miles does she run?", ["1"]),
        ("Evaluate f. The results show that f is even.", ["1"]),
        ("Let f satisfy (i) f(1)=1; (ii) f(x) is odd for all x; (iii) f(2)=3. Find f(3).", ["1"]),
        ("Circles (A), (B) and (C) touch. Find the radius.", ["1"]),
        ("Point (A) lies on (B).", ["A"]),
        ("Solve for x.", [r"\text{no real solutions exist}"]),
        ("Solve for x.", [r"\frac{\sqrt{\alpha}}{\beta}\sin\theta\cos\theta\tan\theta\log\theta\exp\theta"]),
        ("Find x.", ["It is the number that the problem asks for", "7"]),
        (r"A plan has parts (a) sleep and (b) work. Find the time for (a).", ["1"]),
    ],
)
def test_suitable(text, golds):
    assert unsuitable(text, golds, RULES, 300) is None


@pytest.mark.parametrize("part", ["\n", " ", "(a)", "(a) $", "A. \n", ". ", "prove ", "(A)(B)", "\\]\n", "\u2028"])
def test_odd_texts_take_linear_time(part):
    """A hundred thousand characters within seconds, where a rule of quadratic time would take minutes."""
    started = time.process_time()
    unsuitable(part * (100_000 // len(part)), ["A"], RULES, 10**6)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_not_asked_for_drops_nothing(rule):
    texts = [("Find x.", []), ("Prove that x.", ["1"]), ("One?" + CHOICES, ["1"]), ("(a) Find f. (b) Find g.", ["1"])]
    assert all(unsuitable(*one, [], 300) is None for one in texts)
    assert all((why := unsuitable(*one, [rule], 300)) is None or why[0] == rule for one in texts)


@pytest.mark.skipif(not DATA, reason="POLARIS_DATA names no folder with real problem files")
def test_published_benchmarks_suit():
    """GSM8K, AIME24, AMC23 and Minerva were made for automatic evaluation."""
    for name in (
        "benchmarks/aime24.parquet",
        "benchmarks/amc23.parquet",
        "benchmarks/minerva.parquet",
        "gsm8k_test.jsonl",
    ):
        rows = read_problem_file(Path(DATA, name), "s")
        assert [row["id"] for row in rows if unsuitable(row["problem"], row["answers"], RULES, 3000)] == []
