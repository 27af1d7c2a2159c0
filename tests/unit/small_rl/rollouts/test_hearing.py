"""The court of one stage: its table, its bound, and problems without a set."""

import json

import pytest

from polaris.stage.errors import UserError
from polaris.stage.records import CONSENSUS, write_rows
from small_rl.reward.court import HACKS
from small_rl.rollouts import hearing
from tests.helpers.verl_stages import rl_stage

PROBLEMS = {
    "p": {"problem": "a=25. Find b.", "answers": ["13"]},
    "q": {"problem": "How many?", "answers": ["7"]},
}


def held(tmp_path, **changes):
    settings = rl_stage("laptop", "core")
    write_rows(tmp_path / "sets.parquet", [{"problem_id": "p", "step": "a=25", "count": 1}], CONSENSUS)
    core = settings.core.model_copy(update=changes)
    return hearing.hold(PROBLEMS, core, settings.grading, tmp_path / "sets.parquet", tmp_path / hearing.NAME)


def test_the_worst_hack_from_the_text_alone_is_named(tmp_path):
    worst = held(tmp_path)
    assert (worst.hack, worst.mean, worst.paid, worst.example) == ("the question's formulas underlined", 0.25, 0.5, "p")
    assert [row["hack"] for row in hearing.read(tmp_path / hearing.NAME)] == list(HACKS)


def test_above_the_bound_nothing_starts_and_the_table_is_there(tmp_path):
    assert held(tmp_path, max_hack_reward=0.25).mean == 0.25
    with pytest.raises(UserError, match=r"core.max_hack_reward: `the question's formulas underlined` earns 0.250"):
        held(tmp_path, max_hack_reward=0.2)
    assert json.loads((tmp_path / hearing.NAME).read_text())


def test_no_table_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no table of hacks"):
        hearing.read(tmp_path / hearing.NAME)
