"""The header of a safetensors file and the index of a sharded checkpoint, parsed without trusting a byte of them.

File: 8 bytes little-endian header length N, N bytes of JSON (name -> dtype, shape, data_offsets), then the data without
holes (https://huggingface.co/docs/safetensors, "Format").
"""

import dataclasses
import json
import math
from typing import Any

LENGTH_BYTES = 8
LONGEST_HEADER = 100_000_000  # bytes; the reference implementation's bound

# Bytes of one element. Types of less than a byte (F4, F6_*) are missing: we could not check their length.
ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
FLOATS = ("BF16", "F16", "F32")  # what is averaged


@dataclasses.dataclass(frozen=True)
class Tensor:
    """begin, end: bytes from the start of the file."""

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

    Raises ValueError for anything but a header whose tensors fill the file exactly.
    """
    entries = _json_object(header)
    entries.pop("__metadata__", None)
    start = LENGTH_BYTES + len(header)
    tensors = {name: _tensor(name, entry, start) for name, entry in entries.items()}
    tensors = dict(sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)))
    end = start
    for name, tensor in tensors.items():
        if tensor.begin != end:
            raise ValueError(f"tensor {name} begins at byte {tensor.begin} where {end} was expected")
        end = tensor.end
    if file_bytes < end:
        raise ValueError(f"it has {file_bytes} bytes, its header promises {end}: it was cut off")
    if file_bytes > end:
        raise ValueError(f"it has {file_bytes} bytes, its header accounts for {end} only")
    return tensors


def recast(header: bytes, dtype: str) -> bytes:
    """A file's first bytes (length and JSON) for the same tensors in the same order, those of FLOATS as `dtype`."""
    entries = _json_object(header[LENGTH_BYTES:])
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


def parse_index(text: bytes) -> dict[str, str]:
    """The `weight_map` of model.safetensors.index.json: tensor -> shard file. Raises ValueError."""
    weight_map = _json_object(text).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError("it has no weight_map")
    for name, file in weight_map.items():
        # The merged shards get these names: nothing may lead out of the model's folder.
        if not isinstance(file, str) or "/" in file or not file.endswith(".safetensors"):
            raise ValueError(f"weight_map: {name}: {file!r} is not the name of a safetensors file beside it")
    return weight_map


def _json_object(text: bytes) -> dict[str, Any]:
    """A JSON object whose keys occur once. Raises ValueError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)} occurs twice")
        return found

    try:
        value = json.loads(text, object_pairs_hook=once)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"this is not JSON ({error})") from None
    if type(value) is not dict:
        raise ValueError("this is not a JSON object")
    return value


def _tensor(name: str, entry: Any, start: int) -> Tensor:
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise ValueError(f"tensor {name} lacks a dtype, a shape or two data_offsets") from None
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"tensor {name} has a negative or fractional size: shape {list(shape)}, {begin} to {end}")
    if dtype not in ITEM_BYTES:
        raise ValueError(f"tensor {name} has the unknown dtype {dtype!r}")
    expected = math.prod(shape) * ITEM_BYTES[dtype]
    if end - begin != expected:
        raise ValueError(f"tensor {name} ({dtype} {list(shape)}) should have {expected} bytes, not {end - begin}")
    return Tensor(dtype, shape, start + begin, start + end)
