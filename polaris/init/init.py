"""`polaris init`: a recipe for a model and problems of your own, out of flags or, on a terminal, of a few questions.

It looks at the files, says what it found, and writes a recipe that loads and that nothing here refuses, or nothing.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from polaris.init import seen
from polaris.init.recipe_text import HARDWARE, Choices, text
from polaris.planning.input_checks import folders_of, refusals
from polaris.problems.problem_layouts import Role
from polaris.recipe.recipe import load
from polaris.recipe.settings import NAME
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.terminal import say

QUESTIONS = {
    "model": "the model (a folder, a name of the presets, or a hub id)",
    "problems": "problems to train on (a file, a name of the presets, or a hub id)",
    "benchmark": "benchmarks, one or more, divided by blanks (as the problems)",
    "generalist": "the large model that learns from the specialist (as the model; `none`: no large model)",
    "hardware": f"hardware ({', '.join(HARDWARE)})",
}


def main(argv: Sequence[str]) -> None:
    """Command line of `polaris init`. Raises UserError for what is missing, and for what a run would refuse."""
    parser = argparse.ArgumentParser(prog="polaris init", description=__doc__)
    parser.add_argument("recipe", type=Path, help="the file to write, such as mine.yaml; its name is the run's")
    for name, question in QUESTIONS.items():
        parser.add_argument(f"--{name}", nargs="+" if name == "benchmark" else None, help=question)
    parser.add_argument("--columns", nargs="+", default=[], metavar="ROLE=COLUMN", help="problem=..., answer=..., ...")
    parser.add_argument("--instruction", help="appended to every problem; without it as in the recipe that is extended")
    args = parser.parse_args(argv)
    run = args.recipe.stem
    if args.recipe.suffix not in (".yaml", ".yml") or not NAME.fullmatch(run):
        raise UserError(
            f"{args.recipe}: call the recipe like a run, of letters, digits, _, - and ., with the end .yaml"
        )
    if args.recipe.exists():
        raise UserError(f"{args.recipe}: this file is there already, and stays as it is; choose another name")
    write(args.recipe, _choices(run, args))


def _choices(run: str, args: argparse.Namespace) -> Choices:
    answers = {name: getattr(args, name) or _asked(name) for name in QUESTIONS}
    if answers["hardware"] not in HARDWARE:
        raise UserError(f"--hardware: {answers['hardware']} is none of {', '.join(HARDWARE)}")
    columns = dict(_column(text) for text in args.columns)
    benchmarks = answers["benchmark"] if isinstance(answers["benchmark"], list) else answers["benchmark"].split()
    generalist = None if answers["generalist"] == "none" else seen.model(answers["generalist"])
    choices = Choices(
        run=run,
        model=seen.model(answers["model"]),
        problems=seen.problems(answers["problems"], columns, training=True),
        benchmarks=[seen.problems(one, columns, training=False) for one in benchmarks],
        generalist=generalist,
        hardware=answers["hardware"],
        instruction=args.instruction,
    )
    for one in (choices.model, choices.generalist, choices.problems, *choices.benchmarks):
        if one:
            say(f"{one.name}: {one.found}")
    return choices


def _asked(name: str) -> str:
    """The answer to a question; without a terminal the flag is missing."""
    if not sys.stdin.isatty():
        raise UserError(f"--{name}: {QUESTIONS[name]} is missing")
    while not (answer := input(f"{QUESTIONS[name]}: ").strip()):
        pass
    return answer


def _column(text: str) -> tuple[Role, str]:
    role, _, column = text.partition("=")
    if role not in get_args(Role) or not column:
        raise UserError(f"--columns: {text}: write <what it is>=<its column>, of {', '.join(get_args(Role))}")
    return role, column


def write(path: Path, choices: Choices) -> None:
    """The recipe, as a new file. Raises UserError where a run would refuse what it says; then nothing is written."""
    content = text(choices)
    with tempfile.TemporaryDirectory() as folder:
        (draft := Path(folder) / path.name).write_text(content)
        recipe = load([draft])
    if refused := refusals(recipe, folders_of(recipe, Path("runs") / recipe.run)):
        raise UserError(f"{path} was not written:\n  " + "\n  ".join(refused))
    with path.open("x") as file:  # never over another's
        file.write(content)
    say(f"{path} is written. Next:\n  polaris plan --configfile {path}")
    say(f"  snakemake --snakefile {shlex.quote(str(ROOT / 'Snakefile'))} --cores 2 --configfile {path}")
    if recipe.unpinned():
        say(f"some of its models or sets are not pinned to a commit yet: polaris pin {path}")
