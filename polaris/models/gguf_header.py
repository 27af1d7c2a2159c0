"""What the header of a GGUF file says of its model, without a package that reads such files and without its weights.

Layout (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), little-endian: magic, version, number of tensors and
of keys; each key with type and value; each tensor with name, dimensions, type and offset.
"""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from polaris.stage.errors import UserError

MAGIC = b"GGUF"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
VOCABULARY = "tokenizer.ggml.tokens"
KINDS = {"qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe"}  # llama.cpp's name -> model_type
# Name in config.json -> key below the architecture's name.
SIZES = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "intermediate_size": "feed_forward_length",
    "head_dim": "attention.key_length",
    "num_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
    "max_position_embeddings": "context_length",
}


class _Reader:
    """Values from the start of a file, none of them larger than the file."""

    def __init__(self, file: BinaryIO):
        self.file, self.size = file, os.fstat(file.fileno()).st_size

    def take(self, size: int) -> bytes:
        if size > self.size or len(data := self.file.read(size)) != size:
            raise ValueError("it is cut")
        return data

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """A scalar or a text; of an array its length."""
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self._array()
        if kind not in SCALARS:
            raise ValueError(f"a value is of the unknown type {kind}")
        return self.number(SCALARS[kind])

    def _array(self) -> int:
        kind, length = self.number("I"), self.number("Q")
        if kind in SCALARS:
            self.take(length * struct.calcsize(SCALARS[kind]))
        elif kind == STRING and length <= self.size:
            for _ in range(length):
                self.take(self.number("Q"))
        else:
            raise ValueError(f"an array of {length} values of type {kind} is not known")
        return length


def read_config(path: Path) -> dict[str, Any]:
    """The sizes of the model by their names in config.json. Raises UserError for a cut file and for no GGUF file."""
    try:
        with path.open("rb") as file:
            keys, tensors = _read(_Reader(file))
    except OSError as error:
        raise UserError(f"gguf: {path}: it cannot be read ({error.strerror}); name a GGUF file") from None
    except ValueError as error:
        raise UserError(f"gguf: {path}: its header cannot be read ({error}); fetch the file again") from None
    return _config(keys, tensors)


def _read(reader: _Reader) -> tuple[dict[str, Any], set[str]]:
    """Key -> value, and the names of the tensors."""
    if reader.take(len(MAGIC)) != MAGIC:
        raise ValueError("this is no GGUF file, which begins with the letters GGUF")
    version, tensors, keys = reader.number("I"), reader.number("Q"), reader.number("Q")
    if version not in (2, 3) or max(tensors, keys) > reader.size:
        raise ValueError(f"version {version} with {tensors} tensors and {keys} keys is not known")
    values = {reader.text(): reader.value(reader.number("I")) for _ in range(keys)}
    names = set()
    for _ in range(tensors):
        names.add(reader.text())
        reader.take(8 * reader.number("I") + 12)  # dimensions, type, offset
    return values, names


def _config(keys: Mapping[str, Any], tensors: set[str]) -> dict[str, Any]:
    kind = keys.get("general.architecture")
    known = {name: keys.get(f"{kind}.{key}") for name, key in SIZES.items()}
    config = {name: value for name, value in known.items() if value is not None}
    return config | {
        "model_type": KINDS.get(str(kind), kind),
        "vocab_size": keys.get(VOCABULARY),
        "tie_word_embeddings": "output.weight" not in tensors,
    }
