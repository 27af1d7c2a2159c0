"""Commands about a recipe, before anything runs: init, recipe, pin, plan, profile, preflight."""

from pathlib import Path
from typing import Annotated

import typer

from polaris.commands.options import A_RECIPE, NOTHING, Configs, Json, app
from polaris.commands.typed import command


@command(app, A_RECIPE)
def init(
    recipe: Annotated[Path, typer.Argument(help="The file to write, mine.yaml; its name is the run's.")],
    model: Annotated[str | None, typer.Option(help="A folder, a name of the presets, or a hub id.")] = None,
    problems: Annotated[str | None, typer.Option(help="To train on: a file, a preset, or a hub id.")] = None,
    benchmark: Annotated[list[str], typer.Option(metavar="FILE|NAME...", help="Some, as the problems.")] = NOTHING,
    generalist: Annotated[str | None, typer.Option(help="The large model that learns, or none.")] = None,
    hardware: Annotated[
        str | None, typer.Option(help="cpu, one_gpu, one_node, cluster, 8xH100-80GB or 4x8xH100-80GB.")
    ] = None,
    columns: Annotated[list[str], typer.Option(metavar="ROLE=COLUMN...", help="problem=..., answer=...")] = NOTHING,
    instruction: Annotated[str | None, typer.Option(help="Appended to every problem.")] = None,
) -> None:
    """A recipe for your model and problems, by looking at them.

    What is not given is asked for on a terminal.
    """
    from polaris.init import init as starting

    answers = {"model": model, "problems": problems, "benchmark": list(benchmark)}
    starting.main(recipe, answers | {"generalist": generalist, "hardware": hardware}, columns, instruction)


@command(app, A_RECIPE)
def recipe(files: Annotated[list[str], typer.Argument(help="A recipe, and overlays in their order.")]) -> None:
    """Every value of a recipe, and where it stands."""
    from polaris.recipe import printed
    from polaris.recipe.recipe import loaded

    print(printed.text(loaded(files), files), end="")


@command(app, A_RECIPE)
def pin(files: Annotated[list[Path], typer.Argument(help="Recipe files, which are changed.")]) -> None:
    """Fix the revisions of hub models and data sets.

    Every `revision: unpinned` becomes the current commit, in place; comments, order and all else stay. Needs a network.
    """
    from polaris.commands import pin as pinning

    pinning.main(files)


@command(app, A_RECIPE)
def plan(
    configfile: Configs = NOTHING,
    profile: Annotated[Path | None, typer.Option(help="What each rule reserves; without it the hardware's.")] = None,
    gpu: Annotated[str | None, typer.Option(help="Of what kind, without `hardware`; A800 counts as A100.")] = None,
    price: Annotated[float | None, typer.Option(help="Of a GPU hour, in any currency.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Write it to the run, for its report to compare.")] = False,
    json: Json = False,
) -> None:
    """Memory, hours, disk and price before anything runs."""
    from polaris.planning import plan as planning

    planning.main(configfile, profile, gpu, price, keep, json)


@command(app, A_RECIPE)
def profile(
    files: Annotated[list[str], typer.Argument(help="A recipe with `hardware`, and overlays in their order.")],
    partition: Annotated[str | None, typer.Option(help="Of the nodes with GPUs; asked for when absent.")] = None,
    cpu_partition: Annotated[str | None, typer.Option(help="Of jobs that need no GPU; asked for when absent.")] = None,
    time: Annotated[str | None, typer.Option(help="Hours of the longest job there; asked for when absent.")] = None,
    local: Annotated[bool, typer.Option("--local", help="This machine, without Slurm.")] = False,
) -> None:
    """A Snakemake profile for the hardware of a recipe: what each stage reserves."""
    from polaris.planning import slurm_profile

    print(slurm_profile.printed(files, partition, cpu_partition, time, local), end="")


@command(app, A_RECIPE)
def preflight(
    configfile: Configs = NOTHING,
    run: Annotated[Path | None, typer.Option(help="Folder of the run; without it the recipe's.")] = None,
    gpu: Annotated[str | None, typer.Option(help="As for `polaris plan`.")] = None,
    json: Json = False,
) -> None:
    """What would stop a run later: inputs, disk, engines, GPUs."""
    from polaris.planning import preflight as checks

    checks.main(configfile, run, gpu, json)
