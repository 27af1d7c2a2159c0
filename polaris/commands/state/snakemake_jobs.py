"""What the rules say: every job of a recipe as the command that would run, read from Snakemake's dry runs.

The graph is written down once, in the rules. Whoever needs it here asks Snakemake as a person would, so that no second
description can disagree with the first.
"""

import dataclasses
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polaris.stage.code import PACKAGES, ROOT
from polaris.stage.errors import UserError

COMMAND = "Shell command: "


@dataclasses.dataclass(frozen=True)
class Job:
    """One verb as its rule calls it.

    python: what starts its engine's interpreter; settings: the values of `--settings`; code: digest, or `advisory`
    inputs: flag without its dashes, as the verb names it -> manifests; out: the manifest that it writes
    """

    python: str
    module: str
    settings: dict[str, Any]
    code: str
    inputs: dict[str, list[Path]]
    out: Path


def all_jobs(configs: Sequence[str]) -> list[Job]:
    """Every job of the recipe in the order of the flow, finished or not. Raises UserError with Snakemake's words."""
    return _jobs(configs, "--forceall")


def next_jobs(configs: Sequence[str]) -> set[Path]:
    """Targets that `snakemake` in this folder would make now."""
    return {job.out for job in _jobs(configs)}


def parsed(line: str) -> Job:
    """A job from the line with its command."""
    words = shlex.split(line.removeprefix(COMMAND).rpartition(" && ")[2])
    place = next(i for i, word in enumerate(words) if word == "-m" and words[i + 1].split(".")[0] in PACKAGES)
    flags: dict[str, list[str]] = {}
    values: list[str] = []
    for word in words[place + 2 :]:
        if word.startswith("--"):
            values = flags[word.removeprefix("--").replace("-", "_")] = []
        else:
            values.append(word)
    settings, code, out = (flags.pop(name)[0] for name in ("settings", "code", "out"))
    inputs = {name: [Path(value) for value in values] for name, values in flags.items() if values}
    return Job(shlex.join(words[:place]), words[place + 1], json.loads(settings), code, inputs, Path(out))


def _jobs(configs: Sequence[str], *more: str) -> list[Job]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--nolock"]
    command += ["--dry-run", "--printshellcmds", "--rerun-incomplete", *more, "--configfile", *configs]
    # A person's standing profile could name another recipe.
    environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
        lines = lines or done.stdout.strip().splitlines()
        if any(line.startswith("Traceback") for line in lines):  # a fault outside the recipe: a folder, a disk
            raise UserError(f"snakemake could not list the jobs: {lines[-1].strip() or lines[-2]}")
        raise UserError("\n".join(line for line in lines if line != "Building DAG of jobs..."))
    # The rule `all` has no command, and merged_weights publishes nothing.
    commands = [line for line in done.stdout.splitlines() if line.startswith(COMMAND) and " --out " in line]
    return [parsed(line) for line in commands]
