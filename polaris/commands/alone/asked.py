"""What commands on plain folders and files are given: models, problem files, and how to answer them."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from polaris.models import gguf_header
from polaris.models.checkpoint import read_config
from polaris.models.model_context import POSITIONS
from polaris.stage.errors import UserError

PROMPT = 2048  # tokens kept free for it, where the model has as many


@dataclasses.dataclass(frozen=True)
class Asked:
    """Samples per problem, sampling and engine. cache: GiB for the KV cache on a CPU"""

    samples: int
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    instruction: str
    seed: int
    device: Literal["cpu", "cuda"]
    gpus: int
    cache: float

    def __post_init__(self) -> None:
        if self.temperature == 0 and self.samples > 1:
            raise UserError(f"--samples {self.samples}: with --temperature 0 all are the same; give --samples 1")

    def generate(self, models: Iterable[Path]) -> dict[str, Any]:
        """Keys of polaris.generation.settings.Generate, over those of configs/evaluation.yaml. Raises UserError."""
        names = ("temperature", "top_p", "top_k", "max_tokens", "seed")
        engine = {
            "like": "evaluation",
            "dtype": "float32" if self.device == "cpu" else "bfloat16",
            "max_model_len": self.room(models),
            "tensor_parallel_size": self.gpus,
            "kv_cache_gib": self.cache,
        }
        sampling = {name: getattr(self, name) for name in names}
        return {"instruction": self.instruction, "sampling": sampling, "engine": engine}

    def room(self, models: Iterable[Path]) -> int:
        """Tokens of prompt and response: PROMPT beside the response, or as many as all models have.

        Raises UserError for a model with fewer positions than the response alone.
        """
        room = self.max_tokens + PROMPT
        for model in models:
            config = gguf_header.read_config(model) if is_gguf(model) else read_config(model)
            positions = config.get(POSITIONS) or room
            if positions <= self.max_tokens:
                raise UserError(f"--max-tokens {self.max_tokens}: {model} has {positions} positions; ask for less")
            room = min(room, positions)
        return room


def is_gguf(path: Path) -> bool:
    """Whether this is a model in one file."""
    return path.suffix.lower() == ".gguf" and path.is_file()


def source_of(model: Path) -> dict[str, str]:
    """A model as a recipe names it."""
    return {"gguf" if is_gguf(model) else "path": str(model.resolve())}


def given(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Folders and GGUF files of models, and files of problems. Raises UserError for what is neither."""
    if gone := next((path for path in paths if not path.exists()), None):
        raise UserError(
            f"{gone}: there is no such folder or file here; a model of the hub is named in a recipe (docs/parts.md)"
        )
    models = [path for path in paths if path.is_dir() or is_gguf(path)]
    return models, [path for path in paths if path not in models]


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Name -> absolute path: the last part of each, or as many as tell them apart; `model/` is called as its parent.

    Raises UserError for the same path twice.
    """
    whole = [path.resolve() for path in paths]
    if twice := next((path for path in whole if whole.count(path) > 1), None):
        raise UserError(f"{twice}: it is named twice")
    parts = [_parts(path) for path in whole]
    for depth in range(1, max(map(len, parts)) + 1):
        names = [re.sub(r"[^A-Za-z0-9_.=-]", "_", "_".join(own[-depth:])).lstrip(".") for own in parts]
        if len(set(names)) == len(names):
            return dict(zip(names, whole, strict=True))
    raise UserError(f"{whole[0]}: its name cannot be told from the others'; rename it")


def _parts(path: Path) -> tuple[str, ...]:
    if path.is_file():
        return (*path.parent.parts, path.name.split(".")[0])
    return path.parent.parts if path.name == "model" else path.parts
