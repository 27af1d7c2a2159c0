"""The recipe's section of the specialist: names of RL stages, which are folders of a run."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from polaris.recipe import recipe
from small_rl.settings import BESIDE, FOLDERS, SmallRl
from small_rl.study_settings import TEACHER_STAGES

ROOT = Path(__file__).resolve().parents[3]


def with_stage(name: str) -> SmallRl:
    """The laptop's section with one more stage, like core."""
    values = recipe.load([ROOT / "configs/laptop.yaml"]).small_rl.model_dump(by_alias=True)
    return SmallRl.model_validate(values | {"rl": values["rl"] | {name: values["rl"]["core"]}})


@pytest.mark.parametrize("name", ["report", "conversion_reference", "teacher_placebo", "core_data", "rl", "a b"])
def test_a_stage_takes_no_other_stages_folder(name):
    """core_data is where core's problems lie, rl_data would be where those of rl do."""
    with pytest.raises(ValidationError, match=f"rl.{name}: choose another name"):
        with_stage(name)


def test_other_names_are_free():
    assert "core_guarded" in with_stage("core_guarded").rl


def test_the_folders_are_those_of_the_rules():
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    paths = re.findall(r'(?:data_of|checkpoint_of)\(f?"([^"]+)"', text)
    folders = {path.replace("{w.", "{").split("/")[0].replace("{arm}", "") for path in paths} - {
        "{name}",
        "{stage}",
        "{taught}",
        "{opd}",
    }
    beside = {folder.removeprefix("{stage}") for folder in folders if folder.startswith("{stage}")}
    assert beside == set(BESIDE)
    patterns = {f"{{stage}}{suffix}" for suffix in BESIDE} | {"{traces}"}
    named = folders - patterns | set(TEACHER_STAGES.values()) | {"models", "traces"}
    assert named == {folder for folder in FOLDERS if not folder.endswith("_self")}


PAGE = (ROOT / "docs/rl.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
# A heading's values: `rescue: false | own | teacher`; what has a placeholder (<stage>, ...) is shown by a block.
VALUES = [
    f"{key}: {value.replace('aime25', 'chain')}"
    for key, values in re.findall(r"^## .*: `(\w+): (.*)`$", PAGE, re.MULTILINE)
    for value in values.split(" | ")
    if "<" not in values and "..." not in values
]


@pytest.mark.parametrize("overlay", [*BLOCKS, *(f"small_rl: {{rl: {{core: {{{line}}}}}}}" for line in VALUES)])
def test_the_page_shows_values_that_a_recipe_takes(tmp_path, overlay):
    (tmp_path / "overlay.yaml").write_text(overlay)
    assert recipe.load([ROOT / "configs/laptop.yaml", tmp_path / "overlay.yaml"]).small_rl.rl


def test_the_page_has_such_values():
    assert len(BLOCKS) >= 2 and {"rescue: own", "rescue: teacher", "substitution: null"} <= set(VALUES)
