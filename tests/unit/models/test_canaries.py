"""Canary texts: who reads a model's weights says of them what its trainer said, or is refused by name."""

import json

import pytest

from polaris.models import canaries
from polaris.stage.errors import UserError

ROWS = [
    {"prompt": [1, 2], "response": [3, 4, 5], "log_probs": [-1.0, -2.0, -3.0]},
    {"prompt": [1], "response": [7], "log_probs": [-0.5]},
]


def said(rows, by: float = 0.0, row: int = 1):
    """What a reader answers: the recorded values, those of `row` away by so much."""
    known = {tuple(one["response"]): [x - (by if one is rows[row] else 0) for x in one["log_probs"]] for one in rows}
    return lambda prompt, response: known[tuple(response)]


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / canaries.NAME
    path.write_text(json.dumps(ROWS))
    return path


def test_agreement_within_the_limit_passes(recorded, tmp_path):
    assert canaries.check(recorded, 1e-4, tmp_path, said(ROWS, 5e-5)) == pytest.approx(5e-5)


@pytest.mark.parametrize("by", [2e-4, float("nan")])
def test_the_row_beyond_it_is_named(recorded, tmp_path, by):
    with pytest.raises(UserError, match=r"row 1 of canaries.json .* this is not the model that was trained"):
        canaries.check(recorded, 1e-4, tmp_path, said(ROWS, by))


def test_a_trainer_of_half_precision_allows_more(tmp_path):
    rows = [row | {"precision": "fp16"} for row in ROWS]
    path = tmp_path / canaries.NAME
    path.write_text(json.dumps(rows))
    assert canaries.check(path, 1e-4, tmp_path, said(rows, 0.015)) == pytest.approx(0.015)
    with pytest.raises(UserError, match=r"0.025 a token away .*\(0.02 is allowed\)"):
        canaries.check(path, 1e-4, tmp_path, said(rows, 0.025))


def test_experts_are_compared_as_sets_by_layer():
    assert not canaries.differ([[1, 2], [0, 3]], [[2, 1], [3, 0]])
    assert canaries.differ([[1, 2], [0, 3]], [[2, 1], [3, 1]])
