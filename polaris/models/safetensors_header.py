"""The header of a safetensors file and the index of a sharded checkpoint, parsed without trusting a byte of them.

File: 8 bytes little-endian header length N, N bytes of JSON (name -> dtype, shape, data_offsets), then the data without
holes (https://huggingface.co/docs/safetensors, "Format").
"""

import dataclasses
import json
import math
import reprlib
from typing import Any

from polaris.models.dtypes import FLOATS, ITEM_BYTES

LENGTH_BYTES = 8
LONGEST_HEADER = 100_000_000  # bytes; the reference implementation's bound
LARGEST = 2**63 - 1  # of a size or an offset, torch's bound
DIMENSIONS = 64  # torch's bound
SHOWN = 80  # characters of a name or a value in a message


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of a file. shape: in elements; begin, end: bytes from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def header_length(first_bytes: bytes, file_bytes: int) -> int:
    """N from the first 8 bytes of a file of `file_bytes` bytes. Raises ValueError when it cannot be."""
    if len(first_bytes) < LENGTH_BYTES:
        raise ValueError(f"it has only {file_bytes} bytes: this is no safetensors file")
    length = int.from_bytes(first_bytes[:LENGTH_BYTES], "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"its header would have {length} bytes: this is no safetensors file")
    if LENGTH_BYTES + length > file_bytes:
        raise ValueError(f"its header has {length} bytes, the whole file {file_bytes}: it was cut off")
    return length


def parse_header(header: bytes, file_bytes: int) -> dict[str, Tensor]:
    """The N bytes of JSON as name -> tensor, in the order of the data.

    file_bytes: of the whole file. Raises ValueError for anything but a header whose tensors fill the file exactly,
    without a hole or an overlap; what safetensors itself refuses is refused.
    """
    entries = _header_object(header)
    entries.pop("__metadata__", None)
    start = LENGTH_BYTES + len(header)
    tensors = {name: _tensor(name, entry, start) for name, entry in entries.items()}
    tensors = dict(sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)))
    end = start
    for name, tensor in tensors.items():
        if tensor.begin != end:
            raise ValueError(f"tensor {shown(name)} begins at byte {tensor.begin} where {end} was expected")
        end = tensor.end
    if file_bytes < end:
        raise ValueError(f"it has {file_bytes} bytes, its header promises {end}: it was cut off")
    if file_bytes > end:
        raise ValueError(f"it has {file_bytes} bytes, its header accounts for {end} only")
    return tensors


def recast(header: bytes, dtype: str) -> bytes:
    """A file's first bytes (length and JSON) for the same tensors in the same order, those of FLOATS as `dtype`."""
    entries = _header_object(header[LENGTH_BYTES:])
    kept = {"__metadata__": entries.pop("__metadata__")} if "__metadata__" in entries else {}
    begin = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        written = dtype if entry["dtype"] in FLOATS else entry["dtype"]
        end = begin + math.prod(entry["shape"]) * ITEM_BYTES[written]
        kept[name] = {"dtype": written, "shape": entry["shape"], "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)  # the data stays aligned
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def parse_index(text: str) -> dict[str, str]:
    """The `weight_map` of model.safetensors.index.json: tensor -> shard file. Raises ValueError.

    A shard's name is that of a file beside the index: a merged model's shards get the same names.
    """
    weight_map = _json_object(text).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError("its weight_map is no object of tensor names and file names")
    for name, file in weight_map.items():
        beside = isinstance(file, str) and "/" not in file and file.isprintable()
        if not beside or not file.endswith(".safetensors"):
            where = f"weight_map: {shown(name)}"
            raise ValueError(f"{where}: {shown(file)} is not the name of a safetensors file beside it")
    return weight_map


def shown(value: Any) -> str:
    """A name or value of a file in a message: short, and without characters that a terminal would obey."""
    text = value if isinstance(value, str) and value.isprintable() else reprlib.repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _header_object(header: bytes) -> dict[str, Any]:
    if not header.startswith(b"{"):  # as safetensors demands
        raise ValueError("its header is not a JSON object")
    try:
        value = _json_object(header.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"its header is not JSON in UTF-8 ({error})") from None
    metadata = value.get("__metadata__") or {}
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its __metadata__ holds something that is not text")
    return value


def _json_object(text: str) -> dict[str, Any]:
    """A JSON object whose keys occur once. Raises ValueError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for name, value in pairs:
            if name in members:
                raise ValueError(f"the key {shown(name)} occurs twice")
            members[name] = value
        return members

    try:
        value = json.loads(text, object_pairs_hook=once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"this is not JSON ({error})") from None
    if type(value) is not dict:
        raise ValueError("this is not a JSON object")
    return value


def _tensor(name: str, entry: Any, start: int) -> Tensor:
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise ValueError(f"tensor {shown(name)} lacks a dtype, a shape or two data_offsets") from None
    if not isinstance(shape, list) or len(shape) > DIMENSIONS:
        raise ValueError(f"tensor {shown(name)} has the shape {shown(shape)}, which is none")
    for number in (*shape, begin, end):
        if type(number) is not int or not 0 <= number <= LARGEST:
            raise ValueError(
                f"tensor {shown(name)} has {shown(number)} in its shape or data_offsets, which must be whole numbers "
                "from 0 on"
            )
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise ValueError(f"tensor {shown(name)} has the unknown dtype {shown(dtype)!r}")
    expected = math.prod(shape) * ITEM_BYTES[dtype]
    if end - begin != expected:
        raise ValueError(
            f"tensor {shown(name)} ({dtype} {shown(shape)}) should have {expected} bytes, not {end - begin}"
        )
    return Tensor(dtype, tuple(shape), start + begin, start + end)
