"""How a benchmark is asked: the recipe's instruction, a set's own, and what overrides which."""

import pytest

from polaris.recipe import printed, recipe
from polaris.stage.errors import UserError
from tests.helpers.recipes import ROOT

OWN = """
extends: [evaluation]
run: asked
inputs:
  models: {m: {path: /m}}
  benchmarks: [math500, amo_bench, {mine: {file: mine.jsonl, gold: every, k: 2, instruction: "As a fraction."}}]
evaluate: {generate: {instruction: "Box it."}}
"""


def of(tmp_path, *texts: str) -> recipe.Recipe:
    paths = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return recipe.load(paths)


def test_a_set_is_asked_in_its_own_way_and_the_others_in_the_recipes(tmp_path):
    asked = of(tmp_path, OWN).evaluate.generate
    assert asked.instructions == {"amo_bench": "", "mine": "As a fraction."}
    assert [asked.instruction_of(name) for name in ("math500", "amo_bench", "mine")] == [
        "Box it.",
        "",
        "As a fraction.",
    ]
    text = printed.text(recipe.loaded([tmp_path / "0.yaml"]), [])
    line = next(line for line in text.splitlines() if "amo_bench: ''" in line)
    assert "presets/benchmarks.yaml:" in line
    (tmp_path / "kept.yaml").write_text(text)  # what a run keeps is the same recipe
    assert recipe.load([tmp_path / "kept.yaml"]) == of(tmp_path, OWN)


def test_the_recipe_overrides_a_sets_own_way(tmp_path):
    over = "evaluate: {generate: {instructions: {amo_bench: 'Say it.'}}}\n"
    assert of(tmp_path, OWN, over).evaluate.generate.instructions["amo_bench"] == "Say it."
    usual = "inputs: {benchmarks: {amo_bench: {instruction: null}}}\n"
    assert of(tmp_path, OWN, usual).evaluate.generate.instruction_of("amo_bench") == "Box it."
    listed = "inputs: {benchmarks: [math500]}\n"
    assert of(tmp_path, OWN, over, listed).evaluate.generate.instructions == {}


def test_a_further_evaluation_with_another_instruction_asks_every_set_so(tmp_path):
    extra = """
evaluate:
  extra_evaluations:
    bare: {models: [m], instruction: ""}
    both: {models: [m], instruction: "x", instructions: {mine: "y"}}
    cold: {models: [m], sampling: {temperature: 0.3}}
"""
    made = of(tmp_path, OWN, extra).evaluate.extra_evaluations
    assert made["bare"].instructions == {} and made["both"].instructions == {"mine": "y"}
    assert made["cold"].instructions == {"amo_bench": "", "mine": "As a fraction."}


def test_a_wrong_set_is_a_sentence_and_recipes_without_own_ways_have_the_settings_of_before(tmp_path):
    with pytest.raises(
        UserError, match=r"evaluate.generate: instructions.ours: there is no such set here; possible: math"
    ):
        of(tmp_path, OWN, "evaluate: {generate: {instructions: {ours: x}}}\n")
    plain = recipe.load([ROOT / "configs/laptop.yaml"]).evaluate.generate.model_dump()
    assert set(plain) == {"k", "instruction", "sampling", "engine"}
