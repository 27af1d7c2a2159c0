"""A checkpoint in Hugging Face layout on disk: its configuration and its shards' headers, without weights."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

from polaris.models.safetensors_header import LENGTH_BYTES, Tensor, header_length, parse_header, parse_index, shown
from polaris.stage import json_files
from polaris.stage.errors import UserError

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclasses.dataclass(frozen=True)
class Shard:
    """One safetensors file. header: its first bytes up to the data, as they are; tensors: in the order of the data."""

    path: Path
    size: int
    header: bytes
    tensors: dict[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """shard_of: tensor -> the shard that holds it."""

    folder: Path
    shards: list[Shard]
    shard_of: dict[str, Shard]

    @property
    def size(self) -> int:
        """Bytes of all shards."""
        return sum(shard.size for shard in self.shards)

    @property
    def weights(self) -> int:
        """Number of values in all tensors."""
        return sum(math.prod(tensor.shape) for shard in self.shards for tensor in shard.tensors.values())

    def tensor(self, name: str) -> Tensor:
        return self.shard_of[name].tensors[name]


def read_config(folder: Path) -> dict[str, Any]:
    """The values in a model's config.json. Raises UserError where it is missing or no JSON object."""
    return json_files.read_object(folder / CONFIG)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read and check every header, and no weight.

    Raises UserError for missing, cut or contradicting files, pickled weights, and what is no regular file.
    """
    index = folder / INDEX
    weight_map: dict[str, str] = {}
    if index.is_file():
        text = json_files.read_text(index)
        try:
            weight_map = parse_index(text)
        except ValueError as error:
            raise UserError(f"{index}: {error}; fetch or save this checkpoint again") from None
    elif not (folder / SINGLE).exists():
        raise UserError(f"{folder}: {_without_weights(folder)}")
    shards = [_read_shard(folder / file) for file in sorted({*weight_map.values()} or {SINGLE})]
    shard_of: dict[str, Shard] = {}
    for shard in shards:
        for name in shard.tensors:
            if name in shard_of:
                raise UserError(
                    f"{shard.path}: tensor {shown(name)} is in {shard_of[name].path.name} too; remove one of them"
                )
            shard_of[name] = shard
    if weight_map:
        _check_index(index, weight_map, shard_of)
    return Checkpoint(folder, shards, shard_of)


def _without_weights(folder: Path) -> str:
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED) if folder.is_dir() else []
    lack = f"it has neither {INDEX} nor {SINGLE}"
    if pickled:
        return (
            f"{lack}, only {pickled[0]}; pickled weights are refused, since loading them executes code: convert them "
            "with transformers' save_pretrained in a place you trust"
        )
    return f"{lack}: save the model as safetensors"


def _read_shard(path: Path) -> Shard:
    if not path.exists():
        raise UserError(f"{path}: the index names this shard, but it is not there; fetch it again")
    with json_files.open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            first = file.read(LENGTH_BYTES)
            text = file.read(header_length(first, size))
            return Shard(path, size, first + text, parse_header(text, size))
        except ValueError as error:
            raise UserError(f"{path}: {error}; fetch or save this file again") from None


def _check_index(index: Path, weight_map: dict[str, str], shard_of: dict[str, Shard]) -> None:
    for name, file in weight_map.items():
        held_by = shard_of[name].path.name if name in shard_of else "no shard"
        if held_by != file:
            raise UserError(
                f"{index}: it puts tensor {shown(name)} into {file}, but {held_by} holds it; save the model again"
            )
    if unlisted := sorted(shard_of.keys() - weight_map.keys()):
        raise UserError(f"{index}: tensor {shown(unlisted[0])} is in {shard_of[unlisted[0]].path.name}, but not listed")
