"""A model from a local directory or from the Hugging Face hub at a pinned revision: `model/`, checked.

Safetensors only: pickled weights execute code when they are loaded, and so does a model's own Python, which is left
out. Files are hard-linked where that is possible, so that a model costs its space once; a run holds no symbolic link.
"""

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, RootModel, Tag

from polaris.models.settings import HubModel, LocalModel
from polaris.problems.hub import snapshot
from polaris.stage.errors import UserError
from polaris.stage.settings import Section
from polaris.stage.stage import Stage, run_verb

FILES = ("*.safetensors", "*.json", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model", "*.tiktoken", "LICENSE*")
SUBFOLDERS = ("*/*",)  # other formats of the same weights
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json")
HEADER_LIMIT = 100 << 20  # bytes; the safetensors format's own bound


def _place(values: Any) -> str:
    named = values if isinstance(values, dict) else vars(values) if isinstance(values, Section) else {}
    return "hub" if "hub" in named else "path"


class Source(
    RootModel[Annotated[Annotated[HubModel, Tag("hub")] | Annotated[LocalModel, Tag("path")], Discriminator(_place)]]
):
    """Either section; the key `hub` tells which."""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError when the file is missing or is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: this file is missing, and a model needs it") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: this is not a JSON object")
    return value


def tensor_names(path: Path) -> set[str]:
    """Names of the tensors in a safetensors file. Raises UserError when the file is cut, too long or no such file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        try:
            header = json.loads(file.read(length)) if length <= min(size, HEADER_LIMIT) else None
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            end = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError, KeyError):
            raise UserError(f"{path}: this is not a safetensors file, or its header is cut") from None
    if end != size:
        raise UserError(f"{path}: its header describes {end} bytes, but it has {size}: it was cut or changed")
    return set(tensors)


def weight_files(folder: Path) -> list[str]:
    """Names of the files that make up the weights. Raises UserError when they are not whole safetensors."""
    if (folder / INDEX).is_file():
        promised: dict[str, set[str]] = {}
        for tensor, name in read_json(folder / INDEX).get("weight_map", {}).items():
            promised.setdefault(name, set()).add(tensor)
        for name, tensors in promised.items():
            if Path(name).name != name or not (folder / name).is_file():
                raise UserError(f"{folder / INDEX}: it names {name}, which is not in {folder}")
            if different := tensors ^ tensor_names(folder / name):
                raise UserError(
                    f"{folder / name}: its tensors are not those that {INDEX} says: "
                    f"{len(different)} differ, e.g. {min(different)}"
                )
    else:
        promised = {path.name: tensor_names(path) for path in sorted(folder.glob("*.safetensors"))}
        if len(promised) > 1:
            raise UserError(f"{folder}: there are {len(promised)} safetensors files but no {INDEX}")
    if not any(promised.values()):
        pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
        held = f" (only {pickled[0]})" if pickled else ""
        raise UserError(
            f"{folder}: there are no safetensors in it{held}; pickled weights are refused, since loading them executes "
            "code: convert them with transformers' save_pretrained in a place you trust"
        )
    return sorted(promised)


def check_model(folder: Path) -> list[str]:
    """Names of the weight files of a complete model directory. Raises UserError naming what is wrong or missing."""
    if not folder.is_dir():
        raise UserError(f"path: {folder}: there is no such model directory")
    if "model_type" not in read_json(folder / "config.json"):
        raise UserError(f"{folder}/config.json: it has no model_type, so this is not a model of transformers")
    weights = weight_files(folder)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise UserError(f"{folder}: there is no tokenizer in it (looked for {', '.join(TOKENIZERS)})")
    return weights


def take(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it: across file systems, or when it is somebody else's."""
    source = source.resolve()  # a cache's names are symbolic links to its blobs
    if source.stat().st_uid == os.geteuid():
        try:
            os.link(source, target)
            return
        except OSError:
            pass
    shutil.copyfile(source, target)


def main() -> None:
    with Stage.from_command_line("polaris.models.fetch_model", Source) as stage:
        settings = stage.settings.root
        if isinstance(settings, HubModel):
            folder = snapshot(settings.hub, settings.revision, "model", FILES, leave_out=SUBFOLDERS)
        else:
            folder = settings.path
        weights = set(check_model(folder))
        target = stage.partial / "model"
        target.mkdir()
        taken = {path for pattern in FILES for path in folder.glob(pattern)}
        for path in sorted(taken):
            if path.suffix != ".safetensors" or path.name in weights:
                take(path, target / path.name)
        stage.publish(metrics={"bytes": sum(path.stat().st_size for path in target.iterdir())})


if __name__ == "__main__":
    run_verb(main)
