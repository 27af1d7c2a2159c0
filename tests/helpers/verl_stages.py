"""RL stages of the recipes as verl's adapter takes them."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from polaris.recipe import recipe
from small_rl.rl_settings import RlTraining
from small_rl.training import verl_devices
from small_rl.training.verl_config import RlFiles

# Looked up, not imported, which would take seconds in each process of pytest that collects a file.
NEEDS_VERL = pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="verl is missing")
CONFIGS = Path(__file__).parents[2] / "configs"
BASE = dict.fromkeys(("test", "laptop_gpu", "laptop_study", "laptop_two_nodes"), "laptop") | dict.fromkeys(
    ("smollm2_small", "smollm2_study"), "smollm2"
)
FILES = RlFiles(
    *(Path(f"/a folder/{name}") for name in ("model", "data", "checkpoints", "m", "a", "v", "r", "c", "s", "b"))
)


def recipe_files(name: str) -> list[Path]:
    """A recipe's file, after the one that it is an overlay of."""
    base = BASE.get(name)
    return [*([CONFIGS / f"{base}.yaml"] if base else []), CONFIGS / f"{name}.yaml"]


def rl_stage(name: str, stage: str) -> RlTraining:
    """The training of one RL stage of a recipe."""
    section = recipe.load(recipe_files(name)).small_rl.rl[stage]
    return RlTraining.model_validate(section.model_dump(exclude={"start", "drop_easy", "overlap"}))


def answered(script: Path, request: Any, answer: Path) -> Any:
    """What a script that imports verl makes of a request, in a process of its own; `answer`: where it writes."""
    done = subprocess.run(
        [sys.executable, script, answer],
        input=json.dumps(request),
        env={**os.environ, **verl_devices.environment("cpu")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(answer.read_text())
