"""The published values of a recipe, from the one file that holds them with their sources."""

from collections.abc import Mapping

from polaris.evaluation.settings import Published
from polaris.recipe.recipe_yaml import read_file
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError

FILE = ROOT / "polaris" / "recipe" / "published.yaml"


def published(name: str | None) -> Published | None:
    """The entry `name` of published.yaml. Raises UserError for a name that it has not."""
    if name is None:
        return None
    entries: Mapping[str, dict] = read_file(FILE)
    if name not in entries:
        raise UserError(f"report.published: {name} is none of {', '.join(entries)} ({FILE.name})")
    return Published.model_validate(entries[name])
