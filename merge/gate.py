"""What must be true of two checkpoints before a byte of their average is written.

Averaging never fails by itself: two models that do not belong together give a file that loads and talks nonsense.
"""

import shutil
from pathlib import Path
from typing import Any

from merge.normal_form import config_form, first_difference, tokenizer_form
from merge.shard_reader import same_bytes
from merge.tied import with_heads_of
from polaris.models.checkpoint import Checkpoint
from polaris.models.dtypes import FLOATS
from polaris.stage import json_files
from polaris.stage.errors import UserError

BUFFERS = ("BOOL", "I32", "I64")  # of what is no weight: copied where both have the same
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json")
VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json")
SPARE_BYTES = 64 << 20  # kept free beyond the weights: tokenizer, manifest, the file system's own


def check_pair(base: Checkpoint, distilled: Checkpoint) -> Checkpoint:
    """The distilled checkpoint with the base's tensors, where tied embeddings are saved differently.

    Raises UserError, naming the first difference, unless the two differ in their weights' values only. Tokenizers are
    compared by `check_tokenizer`.
    """
    _check_config(base.folder, distilled.folder)
    distilled = with_heads_of(base, distilled)
    _check_tensors(base, distilled)
    return distilled


def check_space(folder: Path, needed: int) -> None:
    """Raises UserError when the file system of `folder` has not `needed` bytes (and a little more) free."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise UserError(
            f"{folder}: merging needs {(needed + SPARE_BYTES) / 1e9:.2f} GB and only {free / 1e9:.2f} GB are free; "
            "make room there, or put the run on another disk"
        )


def check_tokenizer(base: Path, distilled: Path) -> None:
    """Raises UserError, naming the first difference, unless both read and write text in the same way."""
    shared = [name for name in TOKENIZER_FILES if (base / name).is_file() and (distilled / name).is_file()]
    if not set(shared) & set(VOCABULARIES):
        raise UserError(
            f"{distilled}: none of {', '.join(VOCABULARIES)} is both here and in {base}, so that the vocabularies "
            "cannot be compared; copy the tokenizer beside the model that lacks it"
        )
    for name in shared:
        if difference := first_difference(_vocabulary(base / name), _vocabulary(distilled / name)):
            place, ours, theirs = difference
            raise UserError(
                f"{distilled / name}: {place} is {_short(theirs)}, {_short(ours)} in {base / name}: token ids would "
                "mean different words; merge models of one tokenizer, or say whose to take (merge.tokenizer: base or "
                "distilled)"
            )
    for what, read in (("the special tokens", _special_tokens), ("the chat template", _chat_template)):
        ours, theirs = read(base), read(distilled)
        if ours != theirs:
            raise UserError(
                f"{distilled}: {what} (tokenizer_config.json and its companions) are {_short(theirs)}, "
                f"{_short(ours)} in {base}; merge models of one prompt format, copy the base's files, or say whose to "
                "take (merge.tokenizer: base or distilled)"
            )


def _check_tensors(base: Checkpoint, distilled: Checkpoint) -> None:
    for have, lack in ((base, distilled), (distilled, base)):
        if only := sorted(have.shard_of.keys() - lack.shard_of.keys()):
            more = f" and {len(only) - 1} more tensors" if len(only) > 1 else ""
            raise UserError(
                f"{lack.folder}: it lacks tensor {only[0]}{more}, which {have.shard_of[only[0]].path} has; "
                "only two checkpoints of the same model can be merged"
            )
    for name, shard in base.shard_of.items():
        ours, theirs = shard.tensors[name], distilled.tensor(name)
        where = f"{distilled.shard_of[name].path}: tensor {name}"
        if ours.dtype not in (*FLOATS, *BUFFERS):
            raise UserError(
                f"{shard.path}: tensor {name} is {ours.dtype}: quantised or integer weights cannot be averaged; "
                f"use the {', '.join(FLOATS)} version of this model"
            )
        if ours.dtype != theirs.dtype:
            raise UserError(f"{where} is {theirs.dtype}, {ours.dtype} in the base; save both in the same dtype")
        if ours.shape != theirs.shape:
            raise UserError(
                f"{where} has the shape {list(theirs.shape)}, {list(ours.shape)} in the base; "
                "only two checkpoints of the same model can be merged"
            )
        if ours.dtype in BUFFERS and not same_bytes(shard.path, ours, distilled.shard_of[name].path, theirs):
            raise UserError(
                f"{where} is {ours.dtype} and differs from {shard.path}'s: integers cannot be averaged; save both "
                "models without it or with the same one"
            )


def _check_config(base: Path, distilled: Path) -> None:
    one, other = base / "config.json", distilled / "config.json"
    if difference := first_difference(config_form(_read_json(one)), config_form(_read_json(other))):
        key, ours, theirs = difference
        raise UserError(
            f"{other}: {key} is {_short(theirs)}, {_short(ours)} in {one}; if the two models are meant to be the same, "
            "copy the base's config.json"
        )


def _vocabulary(path: Path) -> Any:
    """What the file says of the tokens, as a JSON value."""
    if path.suffix == ".json":
        return tokenizer_form(_read_json(path))
    return {"lines": path.read_bytes().decode("latin-1").splitlines()}  # latin-1: any byte is a character


def _special_tokens(folder: Path) -> dict[str, Any]:
    """eos_token and so on -> its text; lists as sorted texts. Absent, null, false and empty are the same."""
    settings = _read_json(folder / "tokenizer_config.json") | _read_json(folder / "special_tokens_map.json")
    tokens = {key: _text(value) for key, value in settings.items() if key.endswith("_token") and value}
    # transformers 4 and 5 name the further ones differently.
    further = [settings.get(key) or [] for key in ("additional_special_tokens", "extra_special_tokens")]
    texts = {_text(token) for group in further for token in (group.values() if isinstance(group, dict) else group)}
    return tokens | ({"additional": sorted(texts)} if texts else {})


def _text(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def _chat_template(folder: Path) -> Any:
    """The template that transformers would use: chat_template.jinja before the ones inside JSON files."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text()
    for name in ("chat_template.json", "tokenizer_config.json"):
        if template := _read_json(folder / name).get("chat_template"):
            return template
    return None


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty when there is no such file. Raises UserError."""
    return json_files.read_object(path) if path.is_file() else {}


def _short(value: Any) -> str:
    return "absent" if value is None else f"{value!r:.80}"
