"""Which run a command is about: `--run`, a folder or a name, from wherever it is asked; or the run of a recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from polaris.recipe import recipe
from polaris.recipe.layers import SHIPPED
from polaris.recipe.recipe import Recipe
from polaris.recipe.settings import NAME
from polaris.stage.errors import UserError

KEPT = "recipe.yaml"  # in a run's folder: every value that it was started with


class Place(NamedTuple):
    """A run: its folder `<root>/runs/<name>`, and the recipe files that say what it is."""

    folder: Path
    configs: list[str]

    @property
    def root(self) -> Path:
        """Where Snakemake works."""
        return self.folder.parent.parent

    def recipe(self) -> Recipe:
        """Raises UserError as `polaris.recipe.recipe.load`."""
        return recipe.load(self.configs)


def place(run: str | None, configs: Sequence[str]) -> Place:
    """The run that was asked for: `run` with the recipe that it keeps, or that of `configs`, here.

    Without either it is that of the laptop recipe. Raises UserError for both, and for a run that is not there.
    """
    if run and configs:
        raise UserError("--run and --configfile: give one of them; a run keeps its own recipe")
    if not run:
        configs = list(configs) or [str(SHIPPED / "laptop.yaml")]
        return Place(Path("runs") / recipe.load(configs).run, configs)
    folder = found(run)
    return Place(folder, [str(folder / KEPT)])


def found(run: str) -> Path:
    """The folder of a run, by its path, or by its name in `runs/` here or in a folder above. Raises UserError."""
    above = [Path(), *(Path.cwd() / path for path in Path.cwd().parents)]
    for folder in (Path(run), *(folder / "runs" / run for folder in above)):
        if any((folder / name).exists() for name in (KEPT, "report", "scores")):
            return folder
    near = next((path for path in (folder / "runs" for folder in above) if path.is_dir()), None)
    there = " ".join(sorted(path.parent.name for path in near.glob(f"*/{KEPT}"))) if near else ""
    raise UserError(
        f"--run {run}: there is no such run; {f'in {near}: {there}' if there else 'no runs/ is here or above'}"
    )


def folder_of(name: str) -> Path:
    """Where Snakemake puts a run that is started here. Raises UserError for a name that is none."""
    if not NAME.fullmatch(name):
        raise UserError(f"--run {name}: a run has a name of letters, digits, _, - and ., and lies in runs/ here")
    return Path("runs") / name
