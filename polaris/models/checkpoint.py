"""A checkpoint in Hugging Face layout on disk: its shards' headers, without its weights."""

import dataclasses
import math
from pathlib import Path

from polaris.models.safetensors_header import LENGTH_BYTES, Tensor, header_length, parse_header, parse_index
from polaris.stage.errors import UserError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


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


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read and check every header. Raises UserError for missing, cut or contradicting files."""
    index = folder / INDEX
    weight_map = None
    if index.is_file():
        try:
            weight_map = parse_index(index.read_bytes())
        except ValueError as error:
            raise UserError(f"{index}: {error}; fetch or save this checkpoint again") from None
    elif not (folder / SINGLE).is_file():
        raise UserError(f"{folder}: it has neither {INDEX} nor {SINGLE}: save the model as safetensors")
    shards = [_read_shard(folder / file) for file in sorted(set(weight_map.values()) if weight_map else {SINGLE})]
    shard_of: dict[str, Shard] = {}
    for shard in shards:
        for name in shard.tensors:
            if name in shard_of:
                raise UserError(f"{shard.path}: tensor {name} is in {shard_of[name].path.name} too; remove one of them")
            shard_of[name] = shard
    _check_index(index, weight_map or {}, shard_of)
    return Checkpoint(folder, shards, shard_of)


def _read_shard(path: Path) -> Shard:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(LENGTH_BYTES)
            text = file.read(header_length(first, size))
        return Shard(path, size, first + text, parse_header(text, size))
    except FileNotFoundError:
        raise UserError(f"{path}: the index names this shard, but it is not there; fetch it again") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}; fetch or save this file again") from None


def _check_index(index: Path, weight_map: dict[str, str], shard_of: dict[str, Shard]) -> None:
    for name, file in weight_map.items():
        held_by = shard_of[name].path.name if name in shard_of else "no shard"
        if held_by != file:
            raise UserError(f"{index}: it puts tensor {name} into {file}, but {held_by} holds it; save the model again")
    if weight_map and (unlisted := sorted(shard_of.keys() - weight_map.keys())):
        raise UserError(f"{index}: tensor {unlisted[0]} is in {shard_of[unlisted[0]].path.name}, but not listed")
