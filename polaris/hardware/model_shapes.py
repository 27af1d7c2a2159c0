"""The shape of a model that a recipe names, before any of it is fetched."""

from pathlib import Path

from polaris.hardware import shapes
from polaris.hardware.shapes import Shape
from polaris.models import gguf_file, gguf_header
from polaris.models.checkpoint import CONFIG, read_config
from polaris.models.settings import GgufModel, HubModel, LocalModel, Model, TinyModel
from polaris.models.tiny_tokenizer import SIZE
from polaris.problems.hub import cached


def known_shape(source: Model, fetched: Path) -> Shape | None:
    """From the recipe, the table of published models, or the config.json of a local, fetched or cached model.

    fetched: the folder to which its stage fetches it. None for a hub model whose config.json is in none of them.
    Raises UserError for a local folder without a readable config.json, and for a GGUF file that is not here.
    """
    if isinstance(source, TinyModel):
        return _of_tiny(source)
    if isinstance(source, LocalModel):
        return _read(source.path)
    if isinstance(source, GgufModel):
        return _of_gguf(source)
    if source.hub in shapes.KNOWN:
        return shapes.KNOWN[source.hub]
    folder = fetched if (fetched / CONFIG).is_file() else _cached(source)
    return folder and _read(folder)


def stage_of(key: str) -> str:
    """The folder in a run to which an input is fetched, by its key below `inputs`: models.a -> models/a."""
    return "teacher_model" if key == "teacher" else key.replace(".", "/", 1)


def called(source: Model) -> str:
    """A model's name in a sentence."""
    if isinstance(source, HubModel):
        return source.hub
    if isinstance(source, TinyModel):
        return f"the tiny {source.tiny}"
    return str(source.path if isinstance(source, LocalModel) else source.gguf)


def _read(folder: Path) -> Shape:
    return shapes.from_config(read_config(folder), str(folder / CONFIG))


def _cached(source: HubModel) -> Path | None:
    """The folder in the hub's local cache that holds its config.json, of its revision or of another, as a model's shape
    stays the same. Nothing is fetched.
    """
    places = (cached(source.hub, revision, "model") for revision in (source.revision, None))
    return next((place for place in places if place and (place / CONFIG).is_file()), None)


def _of_gguf(source: GgufModel) -> Shape:
    file = gguf_file.located(source)
    return shapes.from_config(gguf_header.read_config(file), str(file))


def _of_tiny(source: TinyModel) -> Shape:
    return Shape(
        vocabulary=SIZE,
        hidden=source.hidden,
        layers=source.layers,
        heads=source.heads,
        kv_heads=source.kv_heads,
        head_dim=source.head_dim,
        intermediate_size=source.intermediate_size,
        moe_intermediate_size=source.intermediate_size if source.experts else 0,
        experts=source.experts,
        experts_per_token=source.experts_per_token,
        tied=True,
    )
