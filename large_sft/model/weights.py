"""The tensors of a model directory in Hugging Face layout, read by slices; and whether they are the ones expected."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from large_sft.model import decoder
from large_sft.model.decoder import Decoder
from polaris.models.checkpoint import CONFIG, read_checkpoint, read_config
from polaris.stage.errors import UserError

NAMED = 5  # tensors listed in a message


def architecture(folder: Path) -> Decoder:
    """What the model's config.json describes. Raises UserError."""
    return decoder.read_config(read_config(folder), str(folder / CONFIG))


class Weights:
    """Tensors by name over all shards; opening reads headers only.

    framework: "pt" for torch tensors, "numpy" where only names and shapes are asked. Raises UserError as
    `polaris.models.checkpoint.read_checkpoint`.
    """

    def __init__(self, folder: Path, framework: str):
        from safetensors import safe_open

        self.folder = folder
        self._file_of: dict[str, Any] = {}
        for shard in read_checkpoint(folder).shards:
            self._file_of |= dict.fromkeys(shard.tensors, safe_open(shard.path, framework))

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


def check(weights: Weights, model: Decoder) -> None:
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
