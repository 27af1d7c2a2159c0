"""RL stages of the recipes as verl's adapter takes them."""

from pathlib import Path

from polaris.recipe import recipe
from small_rl.rl_settings import RlTraining
from small_rl.training.verl_config import RlFiles

CONFIGS = Path(__file__).parents[2] / "configs"
BASE = dict.fromkeys(("test", "laptop_gpu", "laptop_study", "laptop_two_nodes"), "laptop") | dict.fromkeys(
    ("smollm2_small", "smollm2_study"), "smollm2"
)
FILES = RlFiles(
    *(Path(f"/a folder/{name}") for name in ("model", "data", "checkpoints", "m", "a", "v", "r", "c", "s", "b"))
)


def recipe_files(name: str) -> list[Path]:
    """A recipe's file, after the one that it is an overlay of."""
    base = BASE.get(name)
    return [*([CONFIGS / f"{base}.yaml"] if base else []), CONFIGS / f"{name}.yaml"]


def rl_stage(name: str, stage: str) -> RlTraining:
    """The training of one RL stage of a recipe."""
    section = recipe.load(recipe_files(name)).small_rl.rl[stage]
    return RlTraining.model_validate(section.model_dump(exclude={"start", "drop_easy", "overlap"}))
