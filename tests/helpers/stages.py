"""Stages for tests: the command of one, and what another would have left."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from polaris.stage import manifest
from tests.helpers.engine_process import engine_python, rank_python

BY_TORCHRUN = ("large_sft.training.train_sft", "large_sft.training.check_conversion")
FORKED = (
    "polaris.generation.generate",
    "small_rl.training.train_rl",
    "small_rl.distillation.train_opd",
    "large_sft.training.score_prompts",
    *BY_TORCHRUN,
)


def command(module: str, settings: dict, out: Path, **inputs: Path | Sequence[Path]) -> list[str]:
    """The command line of a stage; inputs: flag -> manifest, or a list of them."""
    words = [*start(module), "-m", module, "--settings", json.dumps(settings), "--out", str(out)]
    for name, paths in inputs.items():
        given = [paths] if isinstance(paths, (str, Path)) else paths
        words += ["--" + name.replace("_", "-"), *map(str, given)]
    return words


def start(module: str) -> list[str]:
    return [*(forked_ranks() if module in BY_TORCHRUN else ()), python(module)]


def python(module: str) -> str:
    """The Python of a stage."""
    return engine_python() if module in FORKED else sys.executable


def forked_ranks() -> list[str]:
    """Before a command that calls torchrun, which then forks its processes."""
    return ["env", f"PYTHON_EXEC={rank_python()}"]


def publish(folder: Path, name: str = "checkpoint.json") -> Path:
    """A finished stage of the files in `folder`; the manifest."""
    path = folder / name
    files = {
        str(file.relative_to(folder)): {"size": file.stat().st_size, "xxh3": manifest.file_digest(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != path
    }
    empty = {"settings": {}, "inputs": {}, "tools": {}, "steps": {}, "metrics": {}}
    about = {"stage": folder.name, "module": "test", "files": files, "code": "", "seconds": 0.0, **empty}
    manifest.write(manifest.Manifest(path=path, **about))
    return path


def tree(folder: Path) -> list[str]:
    """Every path in the folder."""
    return sorted(str(path) for path in folder.rglob("*"))
