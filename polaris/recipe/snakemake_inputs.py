"""What Snakemake makes of input files: dates in the future are changes to it, and braces in a path are wildcards."""

import contextlib
import os
import time
from datetime import datetime
from pathlib import Path

from polaris.models.settings import GgufModel
from polaris.problems.settings import FileProblems
from polaris.recipe.recipe import Recipe
from polaris.stage.errors import UserError

TARGETS = ("data.json", "checkpoint.json", "weights.json")


def check_local_files(recipe: Recipe) -> None:
    """Raises UserError for a file of problems or a GGUF file that Snakemake cannot have as an input. Of a missing one
    it speaks itself.

    A file dated in the future is newer than whatever is made from it: Snakemake would remove the finished stage.
    """
    for name, source in recipe.inputs.sources.items():
        if isinstance(source, FileProblems):
            key, file = "file", source.file
        elif isinstance(source, GgufModel) and source.package is None:
            key, file = "gguf", source.gguf
        else:
            continue
        where, text = f"inputs.{name}.{key}", str(file)
        if "{" in text and "}" in text:
            raise UserError(f"{where}: {text}: Snakemake takes braces for a wildcard; rename it, or name a link to it")
        if file.exists() and (date := file.stat().st_mtime) > time.time():
            when = datetime.fromtimestamp(date).isoformat(" ", "seconds")
            raise UserError(
                f"{where}: {text} is dated in the future ({when}), newer than whatever is made from it; give it the "
                f"present date (touch) or take a copy"
            )


def redate(run: Path) -> None:
    """Give targets of this run that are dated in the future the present date, in their order.

    They come from a machine whose clock was ahead. What is made from them would be removed as older than its input.
    """
    paths = [run / "preflight.txt", *(path for name in TARGETS for path in _found(run, name))]
    dates = {path: path.stat().st_mtime for path in paths if path.exists()}
    for path in sorted((path for path, date in dates.items() if date > time.time()), key=dates.__getitem__):
        with contextlib.suppress(OSError):  # another's run, only looked at
            os.utime(path)


def _found(run: Path, name: str) -> list[Path]:
    """At most three folders deep (temperature/first/T=0.60): state and weights are not searched."""
    return [path for level in ("*", "*/*", "*/*/*") for path in run.glob(f"{level}/{name}")]
