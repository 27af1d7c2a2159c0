"""Verb: a model from a local directory, a GGUF file, or the Hugging Face hub at a pinned revision: `model/`, checked.

A run holds no symbolic link, and nothing of the folder that a model comes from is changed: a hard link keeps its mode.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import RootModel, Tag

from polaris.models import gguf_file
from polaris.models.check_model import check_model, check_tokenizer
from polaris.models.model_files import FILES, SUBFOLDERS, take
from polaris.models.settings import GgufModel, HubModel, LocalModel
from polaris.problems.hub import snapshot
from polaris.stage.settings import kind
from polaris.stage.stage import Stage, run_verb


class Source(
    RootModel[
        Annotated[
            Annotated[HubModel, Tag("<hub>")]
            | Annotated[LocalModel, Tag("<path>")]
            | Annotated[GgufModel, Tag("<gguf>")],
            kind("hub", "path", "gguf"),
        ]
    ]
):
    """Any of the sections; a key that only it has tells which."""


def main() -> None:
    with Stage.from_command_line("polaris.models.fetch_model", Source) as stage:
        settings, target = stage.settings.root, stage.partial / "model"
        told = {}
        if isinstance(settings, GgufModel):
            told = _unpacked(settings, target, stage.say)
        else:
            _taken(settings, target)
        stage.publish(metrics={"bytes": sum(path.stat().st_size for path in target.iterdir())} | told)


def _taken(settings: HubModel | LocalModel, target: Path) -> None:
    """The files of a folder, once they are known to be a whole model."""
    if isinstance(settings, HubModel):
        folder = snapshot(settings.hub, settings.revision, "model", FILES, leave_out=SUBFOLDERS)
    else:
        folder = settings.path
    files = check_model(folder)
    check_tokenizer(folder, files)
    target.mkdir()
    for name, path in files.items():
        take(path, target / name)


def _unpacked(settings: GgufModel, target: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """The model of a GGUF file; what the manifest says of that file."""
    gguf_file.check_reader()
    file = gguf_file.located(settings)
    digest = gguf_file.check_digest(settings, file)
    say(f"{file.name}, SHA-256 {digest}")
    gguf_file.convert(file, target)
    check_tokenizer(target, check_model(target))
    return {"gguf": file.name, "sha256": digest}


if __name__ == "__main__":
    run_verb(main)
