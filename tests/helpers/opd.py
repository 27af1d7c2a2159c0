"""An OPD stage over the laptop recipe, as text of an overlay and as settings of the verb."""

from typing import Any

from polaris.recipe import recipe
from polaris.recipe.recipe_files import on_device
from small_rl.opd_settings import OpdTraining
from tests.helpers.recipes import LAPTOP, ROOT

PRESET = ROOT / "configs/presets/opd.yaml"
# `opd` of presets/opd with what it leaves open.
OVERLAY = """extends: [laptop, presets/opd]
opd:
  opd: {like: grpo, student: format_sft, teacher: core_filtered, distillation: {engine: laptop}}
"""


def training(**changes: Any) -> OpdTraining:
    """The verb's settings of the laptop recipe's OPD stage; `distillation` is changed key by key."""
    extra = {"student": "format_sft", "teacher": "core_filtered", "like": "grpo", "distillation": {"engine": "laptop"}}
    stage = recipe.load([LAPTOP, PRESET], {"opd": {"opd": extra}}).opd["opd"]
    values = stage.training.model_dump(by_alias=True)
    values["distillation"] |= on_device(changes.pop("distillation", {}), "cpu")
    return OpdTraining.model_validate(values | changes)
