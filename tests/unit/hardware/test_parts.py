"""The parts of a recipe that hardware looks at: the models behind their keys."""

import pytest

from polaris.hardware.model_shapes import stage_of
from polaris.hardware.parts import Parts


@pytest.mark.parametrize("name", ["other", "qwen2.5", "a.b.c"])
def test_a_further_model_may_have_dots_in_its_name(name):
    models = {name: {"hub": "Qwen/Qwen3-0.6B", "revision": "unpinned"}}
    parts = Parts({"run": "mine", "inputs": {"models": models}}, lambda key: True, "mine.yaml:1: hardware")
    assert list(parts.shapes([f"models.{name}"], ("evaluate",))) == ["Qwen/Qwen3-0.6B"]
    assert stage_of(f"models.{name}") == f"models/{name}"


def test_the_teacher_is_fetched_to_another_folder():
    assert (stage_of("teacher"), stage_of("base_small"), stage_of("problems.rl")) == (
        "teacher_model", "base_small", "problems/rl",
    )  # fmt: skip
