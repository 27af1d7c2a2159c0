"""The made-up families: answers by hand, solutions that can be graded, pools that never meet."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.problems.tiny_problems import NOTATIONS, Chain, Digits, Equation, answer, draw, pool, solve

CHAIN = Chain(6, (Equation("b", "a", "*", "4"), Equation("c", "b", "-", "a"), Equation("d", "b", "+", "9")))
DIGITS = Digits("8352", ("sort", "reverse", "swap", "rotate"))
UNDERLINED = re.compile(r"\\underline\{([^{}]*)\}")


def test_chain_by_hand() -> None:
    assert CHAIN.text == "a=6,b=a*4,c=b-a,d=b+9. Find (d)."
    assert CHAIN.needed >= {"a", "b", "d"} and "c" not in CHAIN.needed
    assert answer(CHAIN) == "3"
    solutions = {solve(CHAIN, random.Random(seed), error_rate=0, underlined=True) for seed in range(40)}
    assert "<think>\n\\underline{b=6*4=4}\\underline{d=4+9=3}\n</think>\n\n\\boxed{3}" in solutions
    assert len(solutions) == 3, "without c, with c before d, with c after d"


def test_digits_by_hand() -> None:
    assert DIGITS.text == "Start (8352). Apply (sort,reverse,swap,rotate)."
    expected = "sort=2358;reverse=8532;swap=2538;rotate=5382;"
    solution = solve(DIGITS, random.Random(0), error_rate=0, underlined=False)
    assert solution == f"<think>\n{expected}\n</think>\n\n\\boxed{{5382}}"


@pytest.mark.parametrize("family", NOTATIONS)
@given(depth=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_without_slips_every_solution_reaches_the_answer(family: str, depth: int, seed: int) -> None:
    rng = random.Random(seed)
    problem = NOTATIONS[family](depth, rng)
    solution = solve(problem, rng, error_rate=0, underlined=True)
    assert solution.endswith(f"\n</think>\n\n\\boxed{{{answer(problem)}}}")
    assert 1 <= len(UNDERLINED.findall(solution)) <= depth


@given(seed=st.integers(0, 10**6))
def test_chain_values_follow_from_the_text(seed: int) -> None:
    """An independent evaluation: the text itself as Python."""
    problem = NOTATIONS["chain"](6, random.Random(seed))
    equations, asked = re.fullmatch(r"(.*)\. Find \((.)\)\.", problem.text).groups()
    values: dict[str, int] = {}
    for equation in equations.split(","):
        name, expression = equation.split("=")
        values[name] = eval(expression, {}, values)
    assert answer(problem) == str(values[asked] % 10)


def test_slips_go_on_consistently_and_spoil_answers() -> None:
    rng = random.Random(3)
    wrong = 0
    for _ in range(400):
        problem = draw("chain", (5, 5), "train", rng)
        solution = solve(problem, rng, error_rate=0.2, underlined=True)
        values = {"a": problem.start}
        for item in UNDERLINED.findall(solution):
            name, operation, result = item.split("=")
            equation = next(e for e in problem.equations if e.name == name)
            assert int(operation[0]) == values[equation.left], "a step uses the value that an earlier one gave"
            values[name] = int(result)
        final = re.search(r"boxed\{(\d)\}", solution)[1]
        assert int(final) == values[problem.equations[-1].name]
        wrong += final != answer(problem)
    # About 4.3 needed steps, each wrong with chance .2 * .9; some slips cancel (times zero, minus itself).
    assert 0.35 < wrong / 400 < 0.6


def test_pools_are_disjoint_and_draws_repeat() -> None:
    rng = random.Random(5)
    drawn = {
        name: {draw(family, (1, 3), name, rng).text for family in NOTATIONS for _ in range(50)}
        for name in ("train", "benchmark")
    }
    assert not drawn["train"] & drawn["benchmark"]
    assert all(pool(text) == name for name, texts in drawn.items() for text in texts)
    again = [draw("digits", (1, 5), "train", random.Random(9)).text for _ in range(2)]
    assert again[0] == again[1]
    # The digest decides, not Python's salted hash: the same on every machine and for ever.
    assert pool("a=6,b=a*4. Find (b).") == "benchmark" and pool("a=5,b=a*4. Find (b).") == "train"
