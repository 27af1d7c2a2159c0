"""The number formats of weights by all their names: in recipes, in torch and config.json, in safetensors headers."""

from typing import Any

# `precision` of a recipe -> torch's name, which is config.json's, too
PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
# safetensors' name -> torch's, of the formats that are trained and merged
FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# safetensors' name -> bytes of one element. Formats of less than a byte (F4, F6_*) are missing: their length could not
# be checked.
ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}


def torch_dtype(name: str) -> Any:
    """torch's dtype by its name in a recipe (`bf16`) or in a header (`BF16`). Raises KeyError for another name."""
    import torch

    return getattr(torch, (PRECISIONS | FLOATS)[name])
