"""The plan of the full recipe, in a folder without a run."""

import pytest

from polaris.hardware.gpus import GPUS
from polaris.planning.planned_stages import Planner
from polaris.recipe import recipe
from polaris.stage.code import ROOT


@pytest.fixture
def v2(tmp_path) -> Planner:
    return Planner(recipe.load([ROOT / "configs/polaris_v2.yaml"]), GPUS["H100-80GB"], tmp_path)
