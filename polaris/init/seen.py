"""What the files that somebody brings say of themselves: as a recipe names them, and in words."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from polaris.models import gguf_file
from polaris.models.check_model import check_model, check_tokenizer
from polaris.models.checkpoint import read_checkpoint, read_config
from polaris.models.model_context import POSITIONS
from polaris.models.prompts import load_tokenizer
from polaris.models.settings import GgufModel
from polaris.problems.problem_layouts import Role
from polaris.problems.read_problems import read_problems
from polaris.problems.settings import UNPINNED, FileProblems
from polaris.recipe.layers import catalogue
from polaris.stage.errors import UserError
from polaris.stage.suggestions import suggestion

THOUGHT = "</think>"  # what ends a model's thinking


class Seen(NamedTuple):
    """A model or a set: its name for a mapping, its value in a recipe, what was found in words.

    thinks: whether a model has a token that ends its thinking; None where it was not looked at
    """

    name: str
    value: str | dict[str, Any]
    found: str
    thinks: bool | None = None


def model(given: str) -> Seen:
    """A folder, a GGUF file, a name of the presets, or a hub id. Raises UserError for what no stage could use."""
    if (known := _preset("models", given)) is not None:
        return known
    folder = Path(given).expanduser()
    if folder.is_dir():
        return _model_folder(folder)
    if folder.is_file():
        return _gguf(folder)
    if given.count("/") == 1 and not given.startswith((".", "~", "/")):
        return Seen(given.rpartition("/")[2], {"hub": given, "revision": UNPINNED}, "of the hub: looked at once pinned")
    hint = suggestion(given, catalogue().values["models"])
    raise UserError(f"{given}: there is no such folder, and no preset of that name{hint}")


def _gguf(file: Path) -> Seen:
    source = GgufModel(gguf=file.resolve())
    gguf_file.check_reader()
    gguf_file.located(source)
    name = re.sub(r"[^A-Za-z0-9_-]", "_", file.stem)
    found = f"a GGUF file of {file.stat().st_size / 1e6:,.0f} MB: looked at once it is unpacked"
    return Seen(name, {"gguf": str(source.gguf)}, found)


def _model_folder(folder: Path) -> Seen:
    files = check_model(folder)
    check_tokenizer(folder, files)
    config, tokenizer = read_config(folder), load_tokenizer(folder)
    found = (
        f"{config['model_type']}, {read_checkpoint(folder).weights / 1e6:,.1f} M parameters, "
        f"{config.get(POSITIONS, 'unknown')} positions; a turn ends with {tokenizer.eos_token}"
    )
    return Seen(folder.name, {"path": str(folder.resolve())}, found, THOUGHT in tokenizer.get_vocab())


def problems(given: str, columns: Mapping[Role, str], training: bool) -> Seen:
    """A file, a name of the presets, or a hub id. training: some of its rows may lack a gold answer.

    Raises UserError for a file without a known layout, and for a benchmark without all its gold answers.
    """
    file = Path(given).expanduser()
    if file.is_file():
        return _file(file, columns, training)
    if (known := _preset("problem_sets", given)) is not None:
        return known
    if given.count("/") == 1 and not given.startswith((".", "~", "/")):
        gold = "some" if training else "every"
        value = {"hub": given, "revision": UNPINNED, "split": "train", "gold": gold}
        more = {"columns": dict(columns)} if columns else {}
        return Seen(given.rpartition("/")[2], value | more, "of the hub: looked at once fetched")
    hint = suggestion(given, catalogue().values["problem_sets"])
    raise UserError(f"{given}: there is no such file, and no preset of that name{hint}")


def _file(file: Path, columns: Mapping[Role, str], training: bool) -> Seen:
    more: dict[str, Any] = {"columns": dict(columns)} if columns else {}
    try:
        source = FileProblems(file=file, gold="some" if training else "every", **more)
        rows = read_problems(source, [file], file.stem, str(file))
    except UserError as error:
        hint = "" if columns else " (here: --columns problem=<column> answer=<column>)"
        raise UserError(f"{error}{hint}" if "columns" in str(error) else str(error)) from None
    answered = sum(bool(row["answers"]) for row in rows)
    if not answered:
        raise UserError(f"{file}: none of its {len(rows)} problems has a gold answer; give them one (docs/data.md)")
    gold = "every" if answered == len(rows) else "some"
    found = f"{len(rows)} problems" + ("" if gold == "every" else f", {answered} of them with a gold answer")
    return Seen(re.sub(r"[^A-Za-z0-9_-]", "_", file.stem), {"file": str(file.resolve()), "gold": gold} | more, found)


def _preset(block: str, given: str) -> Seen | None:
    """The entry of that name, or with that hub id."""
    for name, entry in catalogue().values[block].items():
        source = entry.get("hub") or entry["package"]
        if given in (name, source):
            return Seen(name, name, f"{source}, of the presets")
    return None
