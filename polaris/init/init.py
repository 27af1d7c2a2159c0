"""`polaris init`: a recipe for a model and problems of your own, out of flags or, on a terminal, of a few questions.

It looks at the files, says what it found, and writes a recipe that loads and that nothing here refuses, or nothing.
"""

import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from polaris.hardware.settings import Hardware
from polaris.init import seen
from polaris.init.recipe_text import RUNGS, Choices, text
from polaris.planning.input_checks import folders_of, refusals
from polaris.problems.problem_layouts import Role
from polaris.recipe.recipe import load
from polaris.recipe.settings import NAME
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.settings import validated
from polaris.stage.terminal import say

QUESTIONS = {
    "model": "the model (a folder, a GGUF file, a name of the presets, or a hub id)",
    "problems": "problems to train on (a file, a name of the presets, or a hub id)",
    "benchmark": "benchmarks, one or more, divided by blanks (as the problems)",
    "generalist": "the large model that learns from the specialist (as the model; `none`: no large model)",
    "hardware": f"hardware ({', '.join(RUNGS)}, or GPUs: 8xH100-80GB, 4x8xH100-80GB)",
}

GPUS_TEXT = re.compile(r"(?:(\d{1,4})x)?(\d{1,3})x([A-Za-z][\w-]*)")  # nodes, GPUs of a node, their kind


def main(
    recipe: Path, given: Mapping[str, str | Sequence[str] | None], columns: Sequence[str], instruction: str | None
) -> None:
    """`polaris init`. given: answers to QUESTIONS, None for what is asked on the terminal; columns: ROLE=COLUMN;
    instruction: None as in the recipe that is extended.

    Raises UserError for what is missing, and for what a run would refuse.
    """
    run = recipe.stem
    if recipe.suffix not in (".yaml", ".yml") or not NAME.fullmatch(run):
        raise UserError(f"{recipe}: call the recipe like a run, of letters, digits, _, - and ., with the end .yaml")
    if recipe.exists():
        raise UserError(f"{recipe}: this file is there already, and stays as it is; choose another name")
    answers = {name: given[name] or _asked(name) for name in QUESTIONS}
    write(recipe, _choices(run, answers, dict(map(_column, columns)), instruction))


def _choices(run: str, answers: Mapping[str, Any], columns: dict[Role, str], instruction: str | None) -> Choices:
    rung, hardware = _hardware(answers["hardware"])
    benchmarks = answers["benchmark"]
    benchmarks = benchmarks.split() if isinstance(benchmarks, str) else benchmarks
    choices = Choices(
        run=run,
        model=seen.model(answers["model"]),
        problems=seen.problems(answers["problems"], columns, training=True),
        benchmarks=[seen.problems(one, columns, training=False) for one in benchmarks],
        generalist=None if answers["generalist"] == "none" else seen.model(answers["generalist"]),
        rung=rung,
        hardware=hardware,
        instruction=instruction,
    )
    for one in (choices.model, choices.generalist, choices.problems, *choices.benchmarks):
        if one:
            say(f"{one.name}: {one.found}")
    return choices


def _hardware(text: str) -> tuple[str, Hardware | None]:
    """The recipe of the ladder for it, and the GPUs where they are named. Raises UserError for what is neither."""
    if text in RUNGS:
        return text, None
    if not (found := GPUS_TEXT.fullmatch(text)):
        raise UserError(f"--hardware: {text} is none of {', '.join(RUNGS)}, and no number of GPUs like 8xH100-80GB")
    nodes, gpus = int(found[1] or 1), int(found[2])
    hardware = validated(Hardware, {"nodes": nodes, "gpus_per_node": gpus, "gpu": found[3]}, "--hardware")
    return "one_gpu" if nodes * gpus == 1 else "one_node" if nodes == 1 else "cluster", hardware


def _asked(name: str) -> str:
    """The answer to a question; without a terminal the flag is missing."""
    if not sys.stdin.isatty():
        raise UserError(f"--{name}: {QUESTIONS[name]} is missing")
    while not (answer := input(f"{QUESTIONS[name]}: ").strip()):
        pass
    return answer


def _column(text: str) -> tuple[Role, str]:
    name, _, column = text.partition("=")
    role: Role | None = next((role for role in get_args(Role) if role == name), None)
    if role is None or not column:
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
