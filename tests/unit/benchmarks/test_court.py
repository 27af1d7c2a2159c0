"""The table of hacks in docs/reward.md is that of the shipped recipes' own rewards."""

from pathlib import Path

import pytest

from benchmarks import court
from small_rl.reward.court import BLIND, KNOWING

DOCS = Path(__file__).parents[3] / "docs/reward.md"


@pytest.mark.slow
def test_the_table_of_the_shipped_recipes_is_in_the_docs():
    lines = court.table()
    assert len(lines) == 2 + len(BLIND) + len(KNOWING)
    assert "\n".join(lines) in DOCS.read_text(), "run python benchmarks/court.py, and paste its table"


@pytest.mark.slow
def test_no_shipped_reward_pays_for_the_answer_alone():
    for core in court.shipped().values():
        paid = {one.hack: one for one in court.outcomes(core)}
        told = [name for name in KNOWING if "answer" in name]
        assert {name: paid[name].mean for name in told if paid[name].mean} == {}
        assert {name: one.correct for name, one in paid.items() if one.correct} == {}
