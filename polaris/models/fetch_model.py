"""Verb: a model from a local directory or from the Hugging Face hub at a pinned revision: `model/`, checked.

A run holds no symbolic link, and nothing of the folder that a model comes from is changed: a hard link keeps its mode.
"""

from typing import Annotated, Any

from pydantic import Discriminator, RootModel, Tag

from polaris.models.check_model import check_model, check_tokenizer
from polaris.models.model_files import FILES, SUBFOLDERS, take
from polaris.models.settings import HubModel, LocalModel
from polaris.problems.hub import snapshot
from polaris.stage.settings import Section
from polaris.stage.stage import Stage, run_verb


def _kind(values: Any) -> str:
    named = values if isinstance(values, dict) else vars(values) if isinstance(values, Section) else {}
    return "hub" if "hub" in named else "path"


class Source(
    RootModel[Annotated[Annotated[HubModel, Tag("hub")] | Annotated[LocalModel, Tag("path")], Discriminator(_kind)]]
):
    """Either section; the key `hub` tells which."""


def main() -> None:
    with Stage.from_command_line("polaris.models.fetch_model", Source) as stage:
        settings = stage.settings.root
        if isinstance(settings, HubModel):
            folder = snapshot(settings.hub, settings.revision, "model", FILES, leave_out=SUBFOLDERS)
        else:
            folder = settings.path
        files = check_model(folder)
        check_tokenizer(folder, files)
        target = stage.partial / "model"
        target.mkdir()
        for name, path in files.items():
            take(path, target / name)
        stage.publish(metrics={"bytes": sum(path.stat().st_size for path in target.iterdir())})


if __name__ == "__main__":
    run_verb(main)
