"""The verb that makes problem sets."""

import json
from pathlib import Path
from typing import Any

import pytest

from polaris.problems import make_problems
from polaris.problems.settings import MadeProblems
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import read_problems

SETTINGS = {"family": "chain", "pool": "train", "count": 300, "depth": [2, 5], "error_rate": 0.05, "seed": 1}


def rows(**changed: Any) -> list[dict[str, Any]]:
    return make_problems.rows(MadeProblems.model_validate(SETTINGS | changed))


def test_distinct_and_repeatable() -> None:
    made = rows()
    assert len({row["problem"] for row in made}) == len({row["id"] for row in made}) == 300
    assert made == rows() != rows(seed=2)


@pytest.mark.parametrize("family", ["chain", "digits"])
def test_benchmarks_never_meet_training_sets(family: str) -> None:
    """Small depths, so that the sets would surely overlap if nothing kept them apart."""
    few = {"family": family, "depth": [1, 1], "count": 60}
    training = {row["problem"] for seed in range(10) for row in rows(pool="train", seed=seed, **few)}
    benchmark = {row["problem"] for seed in range(10) for row in rows(pool="benchmark", seed=seed, **few)}
    assert len(training) < 600, "the sets of one pool do overlap at this depth"
    assert not training & benchmark


def test_impossible_count_is_explained() -> None:
    with pytest.raises(UserError, match="ask for fewer or for deeper ones"):
        rows(depth=[1, 1], count=5000)


def test_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "chain" / "data.json"
    monkeypatch.setattr("sys.argv", ["make_problems", "--settings", json.dumps(SETTINGS), "--out", str(out)])
    make_problems.main()
    problems = read_problems(manifest.read(out).file("problems.parquet"))
    assert len(problems) == 300
    one = next(iter(problems.values()))
    assert one["source"] == "chain" and one["solution"].startswith("<think>\n\\underline{")
