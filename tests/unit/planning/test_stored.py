"""Sizes of a rollout store: the bound that the store really keeps, and a disk that is too small."""

import shutil
from types import SimpleNamespace

import pytest

from polaris.planning import plan, stored
from polaris.planning.planned import Planned


def stage(keeps, **more):
    return SimpleNamespace(prompts_per_step=64, group_size=8, steps=300, rollout_store=keeps, **more)


@pytest.mark.parametrize(("keeps", "groups"), [("all", 64), (8, 8), (64, 64), (100, 64), (None, 0)])
def test_so_many_groups_are_kept(keeps, groups):
    low, high = stored.of_step(stage(keeps), (16_000.0, 65_536.0))
    assert low == groups * 8 * 16_000 * 4.5 and high == groups * 8 * 65_536 * 12


def test_words_say_what_is_kept_and_how_large_it_grows():
    assert stored.note(stage("all"), (0.2e9, 0.4e9)) == (
        "rollout_store: every response; 0.2 to 0.4 GB a step, 60 to 120 in all",
    )
    assert stored.note(stage(8), (1e7, 1e8))[0].startswith("rollout_store: 8 whole groups drawn by the step; 0.01")
    assert stored.note(stage(None), (0.0, 0.0)) == ()


def test_the_stores_of_v2_are_in_its_plan(v2):
    planned = {one.name: one for one in v2.stages()}
    weights = 2.0 * v2.small.parameters
    assert planned["grpo"].published > 1.5 * weights and planned["format_sft"].published == weights
    assert any("rollout_store: every response" in note for note in planned["grpo"].notes)


def test_a_disk_without_room_is_said(tmp_path, monkeypatch):
    planned = [
        Planned(name="grpo", rule="rl", published=3e9, scratch=1e9),
        Planned(name="x", rule="x", jobs=2, published=1e9),
    ]
    for free, said in ((6.1e9, None), (5.9e9, "disk: 5.9 GB are free in")):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: SimpleNamespace(free=free))
        found = plan.room(planned, tmp_path / "runs" / "not yet")
        assert found is None if said is None else found.startswith(f"{said} {tmp_path}: make room")
