"""The commands that people type: `polaris show`, `polaris pin`. Stages are `python -m <package>.<verb>`."""

import argparse
import sys

from polaris.stage import terminal


def show(argv: list[str]) -> None:
    """The tables of a finished run, and where its page lies."""
    from polaris.commands import show as tables
    from polaris.recipe import recipe
    from polaris.recipe.command_line import recipe_parser

    args = recipe_parser("show").parse_args(argv)
    tables.main(["--run", f"runs/{recipe.load(args.configfile).run}"])


def recipe(argv: list[str]) -> None:
    """Every value of a recipe, with the file and line that it comes from."""
    from polaris.recipe import printed
    from polaris.recipe.recipe import loaded

    parser = argparse.ArgumentParser(prog="polaris recipe")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a recipe, and overlays in their order")
    files = parser.parse_args(argv).files
    print(printed.text(loaded(files), files), end="")


def init(argv: list[str]) -> None:
    """A recipe for a model and problems of your own, by looking at them."""
    from polaris.init import init as starting

    starting.main(argv)


def pin(argv: list[str]) -> None:
    """Fix the revisions of a recipe's hub models and data sets (needs a network)."""
    from polaris.commands import pin as pinning

    pinning.main(argv)


def status(argv: list[str]) -> None:
    """How far every stage is, and which stages the next run will make again."""
    from polaris.commands import status as states
    from polaris.recipe import recipe
    from polaris.recipe.command_line import recipe_parser

    parser = recipe_parser("status")
    parser.add_argument("--digests", action="store_true", help="read every file: is it what its stage wrote?")
    args = parser.parse_args(argv)
    states.show(args.configfile, recipe.load(args.configfile).run, args.digests)


def compare(argv: list[str]) -> None:
    """Two models on the same questions: paired difference, p-value, minimum detectable effect; with --runs over
    replicates.
    """
    from polaris.evaluation import compare as comparison
    from polaris.recipe import recipe
    from polaris.recipe.command_line import recipe_parser

    parser = recipe_parser("compare")
    parser.add_argument("model", help="a name in the run, or a folder like runs/other/scores/core")
    parser.add_argument("other", help="what it is compared with")
    parser.add_argument("--runs", nargs="+", help="replicates of one recipe, by the names of their runs")
    args = parser.parse_args(argv)
    comparison.main(args.model, args.other, args.runs or [recipe.load(args.configfile).run])


def regrade(argv: list[str]) -> None:
    """Stored generations graded again: which verdicts flipped. Exit status 1 where any verdict or reason did."""
    from typing import get_args

    from polaris.commands import regrade as regrading
    from polaris.grading.answers import Grader
    from polaris.recipe import recipe
    from polaris.recipe.command_line import recipe_parser

    parser = recipe_parser("regrade")
    parser.add_argument("model", help="a name in the run, or a folder like runs/other/scores/core")
    parser.add_argument("--grader", choices=get_args(Grader), help="instead of the one that the scores were made with")
    args = parser.parse_args(argv)
    if not regrading.main(args.model, recipe.load(args.configfile).run, args.grader):
        sys.exit(1)


def plan(argv: list[str]) -> None:
    """What a recipe asks of a cluster: memory, tokens, hours, disk, price; refuses what cannot work."""
    from polaris.planning import plan as planning

    planning.main(argv)


def profile(argv: list[str]) -> None:
    """A Snakemake profile for the hardware of a recipe: what each stage reserves, on Slurm or on this machine."""
    from polaris.planning import slurm_profile

    slurm_profile.main(argv)


def preflight(argv: list[str]) -> None:
    """What would stop a run later: inputs, disk, file system, engines, GPUs."""
    from polaris.planning import preflight as checks

    checks.main(argv)


def rollouts(argv: list[str]) -> None:
    """The responses of an RL stage's steps: pages that a browser opens, and a table."""
    from polaris.commands import rollouts as pages
    from polaris.recipe import recipe
    from polaris.recipe.command_line import recipe_parser

    parser = recipe_parser("rollouts")
    parser.add_argument("stage", help="an RL stage of the run, or a folder like runs/other/core")
    args = parser.parse_args(argv)
    pages.show(recipe.load(args.configfile).run, args.stage)


def replay(argv: list[str]) -> None:
    """What other process rewards would have paid the rollouts of an RL stage with CORE."""
    from polaris.commands import rollouts as stored
    from polaris.recipe import recipe
    from polaris.recipe.command_line import recipe_parser

    parser = recipe_parser("replay")
    parser.add_argument("stage", help="an RL stage of the run, or a folder like runs/other/core")
    args = parser.parse_args(argv)
    stored.replay(recipe.load(args.configfile).run, args.stage)


def study(argv: list[str]) -> None:
    """What the replicates of the laptop recipe found: claims beside their controls (`make study`)."""
    from polaris.commands import study as replicates

    replicates.main(argv)


def publish(argv: list[str]) -> None:
    """A model's folder with its card, ready to be pushed."""
    from polaris.commands import publish as publishing

    publishing.main(argv)


COMMANDS = {
    command.__name__: command
    for command in (
        init,
        show,
        recipe,
        pin,
        status,
        compare,
        regrade,
        plan,
        profile,
        preflight,
        rollouts,
        replay,
        publish,
        study,
    )
}


def main() -> None:
    """Entry point of the console script."""
    parser = argparse.ArgumentParser(prog="polaris", description=__doc__)
    described = "; ".join(f"{name}: {command.__doc__}" for name, command in COMMANDS.items())
    parser.add_argument("command", choices=COMMANDS, help=described)
    args = parser.parse_args(sys.argv[1:2])
    terminal.run(lambda: COMMANDS[args.command](sys.argv[2:]))


if __name__ == "__main__":
    main()
