"""The golds of real benchmarks: equal to themselves in other spellings, and a report of those that no rule reads.

POLARIS_DATA names a folder with benchmarks/*.parquet in V1's layout.
"""

import os
from pathlib import Path

import pytest

from polaris.grading.answers import UNPARSEABLE_GOLD, golds_from
from polaris.grading.grading_pool import GradingPool
from tests.helpers.tables import read_problem_file

DATA = os.environ.get("POLARIS_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="POLARIS_DATA names no folder with real benchmarks")

# No rule reads these; such a gold is matched by the same text only.
UNREAD = {"aime24": [], "amc23": [], "minerva": [r"0.003^{\prime \prime}"]}


@pytest.fixture(scope="module")
def pool():
    with GradingPool(timeout=20.0, workers=1) as pool:
        yield pool


@pytest.mark.parametrize("name", sorted(UNREAD))
def test_golds(name, pool):
    path = Path(DATA) / "benchmarks" / f"{name}.parquet"
    golds = [row["answers"] for row in read_problem_file(path, name)]
    for spelling in (r"\boxed{%s}", r"thought</think> so \boxed{ %s. }", r"\boxed {\boldsymbol{%s}}"):
        verdicts = pool.grade([(gold, spelling % gold[0]) for gold in golds], "none")
        assert [gold for gold, verdict in zip(golds, verdicts, strict=True) if not verdict.correct] == []
    strange = pool.grade_answers([(gold, r"\sqrt{123457}+\ln 2") for gold in golds])
    unreadable = [gold[0] for gold, v in zip(golds, strange, strict=True) if v.reason == UNPARSEABLE_GOLD]
    print(f"{name}: {len(unreadable)} of {len(golds)} golds cannot be read: {unreadable}")
    assert unreadable == UNREAD[name] and not any(verdict.correct for verdict in strange)


def test_numbers_in_another_layout(pool):
    golds = [5, 5.0, "5", ["5"], [5.0, "five"]]
    assert all(v.correct for v in pool.grade_answers([(golds_from(gold), "5") for gold in golds]))
