"""Training sets of the layers below that no stage uses any more are gone; what the recipe itself gives must be used."""

import pytest

from polaris.recipe import recipe
from polaris.stage.errors import UserError
from tests.helpers.recipes import ROOT


def of(tmp_path, text: str) -> recipe.Recipe:
    (tmp_path / "mine.yaml").write_text(text)
    return recipe.load([tmp_path / "mine.yaml"])


def test_a_part_that_is_left_out_takes_its_sets_with_it(tmp_path):
    made = recipe.load([ROOT / "configs/polaris_v2_generalist.yaml"])
    assert set(made.inputs.problems) == set(made.clean) == {"distill"}
    half = "large_sft: null\nmerge: null\ninputs: {base_large: null}\nsmall_rl: {specialist: null, probe: null}\n"
    mine = of(tmp_path, f"extends: [polaris_v2]\nrun: mine\n{half}evaluate: {{large_engine: null}}\n")
    assert set(mine.inputs.problems) == set(mine.clean) == {"format", "rl"}


@pytest.mark.parametrize("own", ["inputs: {problems: {rl: {max_rows: 7}}}", "inputs: {problems: {rll: boba}}"])
def test_what_the_recipe_gives_and_does_not_use_is_its_error(tmp_path, own):
    with pytest.raises(UserError, match="inputs.problems: must have exactly the keys distill"):
        of(tmp_path, f"extends: [polaris_v2_generalist]\nrun: mine\n{own}\n")
