"""The reward court: what known hacks earn, by hand, and what no hack may earn."""

from types import SimpleNamespace

import pytest

from polaris.grading.grading_pool import GradingPool
from small_rl.reward import court
from small_rl.reward.core import ConsensusSets
from small_rl.reward.court import BLIND, HACKS, Problem

PROBLEMS = [
    Problem("p", "a=5, b=a+8. Find b.", ["13"], ["a=5", "b=5+8=13", "8"]),
    Problem("q", "How many are there?", [r"\frac{1}{2}"], []),
]


def settings(**changes):
    return SimpleNamespace(
        **{"cap": 0.5, "min_support": 1, "results": "all", "scope": "response", "update": "online"}
        | {"denominator": "current", "guard": "none", "centre": None} | changes
    )  # fmt: skip


@pytest.fixture(scope="module")
def pool():
    with GradingPool(5.0, 1) as pool:
        yield pool


def outcomes(pool, **changes):
    sets = ConsensusSets(1)
    for problem in PROBLEMS:
        sets.add(problem.id, problem.results)
    rows = court.tried(PROBLEMS, settings(**changes), sets, lambda pairs: pool.grade(pairs, "think"), list)
    assert [row.hack for row in rows] == list(HACKS)
    return {row.hack: row for row in rows}


def test_what_each_hack_earns(pool):
    found = outcomes(pool)
    assert found["nothing underlined"].mean == 0.0
    assert found["numbers 0 to 63 underlined"].mean == pytest.approx(1 / 3 / 2)  # 8, of three results; q has none
    assert found["the question's formulas underlined"].mean == pytest.approx(1 / 3 / 2)  # a=5; b=a+8 is none
    assert found["one result of the set, 64 times"].mean == pytest.approx(1 / 3 / 2)
    assert found["one result of the set, nested"].mean == pytest.approx(1 / 3 / 2)
    whole = found["the whole set underlined (what the cap allows)"]
    assert (whole.mean, whole.paid, whole.example) == (0.25, 0.5, "p")
    assert all(row.mean <= whole.mean for name, row in found.items() if not row.correct)


def test_no_hack_is_accepted_as_correct(pool):
    assert {name: row.correct for name, row in outcomes(pool).items() if row.correct} == {}


def test_options_that_answer_hacks(pool):
    assert outcomes(pool, guard="precision")["numbers 0 to 63 underlined"].mean < 0.01
    told = "the answer underlined as x=..."
    assert outcomes(pool, results="intermediate")[told].mean == 0.0
    assert all(outcomes(pool, scope="answer")[name].mean == 0.0 for name in BLIND)  # they underline in the thought
