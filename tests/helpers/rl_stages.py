"""RL stages of the recipes, as verl_config takes them."""

from pathlib import Path

from polaris.recipe import recipe
from small_rl.rl_settings import RlTraining
from small_rl.training import verl_config

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = verl_config.RlFiles(
    *(Path(f"/a folder/{name}") for name in ("model", "data", "checkpoints", "m", "a", "c", "s", "b", "v"))
)


def files(name):
    """A recipe's file, after what it is an overlay of."""
    below = [CONFIGS / "laptop.yaml"] if name in ("test", "laptop_study", "laptop_two_nodes") else []
    return [*below, CONFIGS / f"{name}.yaml"]


def rl_stage(name, stage):
    asked = recipe.load(files(name)).small_rl.rl[stage]
    return RlTraining.model_validate(asked.model_dump(exclude={"start", "drop_easy", "overlap"}))
