"""What a store is of: the stage's settings and what it reads, written when the stage starts, so that it can be looked
at while the stage runs, and from any directory."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from polaris.stage.errors import UserError
from polaris.stage.json_files import read_object
from polaris.stage.manifest import replace_file
from polaris.stage.settings import validated
from small_rl.opd_settings import OpdTraining
from small_rl.rl_settings import RlTraining

NAME = "about.json"


@dataclass(frozen=True)
class About:
    """stage: its name; model: folder of the start model, whose tokenizer it is; problems: problems.parquet; consensus:
    consensus.parquet that the sets start from, None for outcome rewards; teacher: messages.parquet, for rescue: teacher
    """

    stage: str
    settings: RlTraining
    model: Path
    problems: Path
    consensus: Path | None
    teacher: Path | None = None


def write(folder: Path, about: About) -> None:
    """Write the description into a store's folder, with paths relative to it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = {
        "stage": about.stage,
        "settings": about.settings.model_dump(mode="json", by_alias=True),
        "model": os.path.relpath(about.model, folder),
        "problems": os.path.relpath(about.problems, folder),
        "consensus": about.consensus and os.path.relpath(about.consensus, folder),
        "teacher": about.teacher and os.path.relpath(about.teacher, folder),
    }
    replace_file(folder / NAME, json.dumps(text, indent=1) + "\n")


def read(folder: Path) -> About:
    """The description of a store. Raises UserError where there is none, or settings of another version."""
    path = folder / NAME
    if not path.is_file():
        raise UserError(
            f"{folder}: there is no rollout store here; a stage keeps its rollouts with `rollout_store: all`"
        )
    values = read_object(path)
    try:
        texts = {key: str(values[key]) for key in ("stage", "model", "problems")}
        settings, consensus, teacher = values["settings"], values["consensus"], values.get("teacher")
    except KeyError as missing:
        raise UserError(f"{path}: {missing} is missing; another version of polaris wrote this store") from None
    section = OpdTraining if isinstance(settings, dict) and "distillation" in settings else RlTraining
    return About(
        stage=texts["stage"],
        settings=validated(section, settings, f"{path}: settings"),
        model=(folder / texts["model"]).resolve(),
        problems=(folder / texts["problems"]).resolve(),
        consensus=consensus and (folder / str(consensus)).resolve(),
        teacher=teacher and (folder / str(teacher)).resolve(),
    )
