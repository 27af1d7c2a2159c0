"""The tensors of a model directory in Hugging Face layout, read by slices; and whether they are the ones expected."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from large_sft.model.qwen3 import Qwen3, read_config
from polaris.stage.errors import UserError

INDEX = "model.safetensors.index.json"
NAMED = 5  # tensors listed in a message


def architecture(folder: Path) -> Qwen3:
    """What the model's config.json describes."""
    path = folder / "config.json"
    try:
        return read_config(json.loads(path.read_text()), str(path))
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: this is not a readable model configuration ({error})") from None


class Weights:
    """Tensors by name over all shards; opening reads headers only.

    framework: "pt" for torch tensors, "numpy" where only names and shapes are asked
    """

    def __init__(self, folder: Path, framework: str):
        from safetensors import SafetensorError, safe_open

        self.folder = folder
        index = folder / INDEX
        shards = (
            sorted(set(json.loads(index.read_text())["weight_map"].values()))
            if index.is_file()
            else sorted(path.name for path in folder.glob("*.safetensors"))
        )
        if not shards:
            raise UserError(f"{folder}: there are no safetensors in it")
        self._file_of: dict[str, Any] = {}
        for shard in shards:
            try:
                file = safe_open(folder / shard, framework)
            except (OSError, SafetensorError) as error:
                raise UserError(f"{folder / shard}: this shard is missing or not safetensors ({error})") from None
            self._file_of |= dict.fromkeys(file.keys(), file)

    @property
    def names(self) -> set[str]:
        return set(self._file_of)

    def slice(self, name: str) -> Any:
        """A tensor to be indexed: only the part asked for is read."""
        return self._file_of[name].get_slice(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.slice(name).get_shape())

    def dtype(self, name: str) -> str:
        """As safetensors spells it: F32, F16, BF16."""
        return self.slice(name).get_dtype()


def check_names(there: set[str], expected: set[str], where: str) -> None:
    """Raises UserError naming tensors that are missing or too many."""
    for text, names in (("lacks", expected - there), ("has unexpected", there - expected)):
        if names:
            raise UserError(f"{where}: the model {text} {len(names)} tensors: {_listed(names)}")


def check(weights: Weights, model: Qwen3) -> None:
    """The weights are those that the configuration describes, names and shapes. Raises UserError naming tensors.

    A tied model may hold a copy of its embedding as lm_head.weight, as some published ones do.
    """
    shapes = model.parameters()
    if model.tied and "lm_head.weight" in weights.names:
        shapes["lm_head.weight"] = shapes["model.embed_tokens.weight"]
    check_names(weights.names, set(shapes), str(weights.folder))
    wrong = [name for name, shape in shapes.items() if weights.shape(name) != shape]
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{weights.folder}: {len(wrong)} tensors have another shape than config.json says: "
            f"{name} is {weights.shape(name)}, expected {shapes[name]}"
        )


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
