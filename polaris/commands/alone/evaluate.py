"""`polaris evaluate FOLDER... FILE...`: models on problem files, as a run with a recipe of its own.

The recipe is written beside the results and run through Snakemake: the same command resumes it, and it can be edited.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from polaris.commands import show
from polaris.commands.alone.asked import Asked, given, named, source_of
from polaris.commands.alone.child import waited
from polaris.commands.runs import folder_of
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.manifest import replace_file
from polaris.stage.terminal import say

RECIPE = "evaluation.yaml"  # in the run's folder
HEAD = "# Written by polaris evaluate. To change it: edit it, then\n#   {command}\n"


def values(run: str, models: dict[str, Path], files: dict[str, Path], asked: Asked) -> dict[str, object]:
    """The recipe as plain values. models, files: by the names that they have in the report"""
    samples = dict.fromkeys(files, asked.samples)
    evaluate = {"generate": {"k": samples, **asked.generate(models.values())}}
    return {
        "extends": ["evaluation"],
        "run": run,
        "device": asked.device,
        "inputs": {
            "models": {name: source_of(path) for name, path in models.items()},
            "benchmarks": {name: {"file": str(path), "gold": "every"} for name, path in files.items()},
        },
        "evaluate": evaluate,
        "report": {"pass_k": [asked.samples] if asked.samples > 1 else []},
    }


def snakemake(config: Path, cores: int) -> list[str]:
    """The call that runs a recipe in this folder."""
    start = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)]
    return [*start, "--rerun-incomplete", "--configfile", str(config)]


def written(run: str | None, text_of: dict[str, object]) -> Path:
    """The recipe's file: of the named run, else of the first `evaluation`, `evaluation_2`, ... that is this one or new.

    Raises UserError where the named run has another recipe, which an edit makes of it too.
    """
    number = 1
    while True:
        name = run or ("evaluation" if number == 1 else f"evaluation_{number}")
        path = folder_of(name) / RECIPE
        head = HEAD.format(command=f"polaris evaluate --again {path.parent}")
        text = head + yaml.safe_dump({**text_of, "run": name}, sort_keys=False, allow_unicode=True, width=100)
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            replace_file(path, text)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return path
        if run:
            raise UserError(
                f"{path.parent}: this run has another recipe; run it as it is with polaris evaluate --again "
                f"{path.parent}, or give another --run"
            )
        number += 1


def main(paths: Sequence[Path], asked: Asked, run: str | None, again: Path | None, cores: int) -> None:
    """Evaluate, and print the tables. again: folder of a run whose recipe is run as it is. Raises UserError."""
    if again:
        if paths or not (again / RECIPE).is_file():
            raise UserError(f"--again {again}: it takes the folder of an earlier evaluation, and no other path")
        config = again.absolute() / RECIPE
    else:
        models, files = given(paths)
        if not models or not files:
            what = "folder of a model" if not models else "file of problems"
            raise UserError(f"name one {what} at least: polaris evaluate FOLDER... FILE...")
        config = written(run, values("", named(models), named(files), asked))
    say(f"recipe  {config}", sys.stderr)
    command, root = [*snakemake(config.absolute(), cores), "--quiet", "all"], config.absolute().parents[2]
    if waited(command, root):
        raise UserError(f"{config.parent}: the evaluation is not finished; the same command goes on")
    show.main(config.parent)
    say(f"text  {config.parent / 'report' / 'report.md'}")
