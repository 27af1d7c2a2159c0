"""What the files of models and problem sets tell before anything runs: lengths, architecture, columns, golds."""

import contextlib
import importlib.util
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from large_sft.model import decoder
from polaris.generation.settings import Engine
from polaris.hardware.model_shapes import stage_of
from polaris.models.check_model import check_described, check_tokenizer
from polaris.models.checkpoint import CONFIG, read_config
from polaris.models.model_context import check_context
from polaris.models.model_files import model_files
from polaris.models.settings import GgufModel, HubModel, LocalModel, Model, TinyModel
from polaris.problems.hub import cached, snapshot
from polaris.problems.read_problems import read_problems
from polaris.problems.settings import UNPINNED, FileProblems
from polaris.recipe.recipe import Recipe
from polaris.stage.errors import UserError
from small_rl.settings import SmallRl

# What describes a model on the hub: a few MB beside its weights.
DESCRIBING = ("*.json", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model", "*.tiktoken")
MODELS = (HubModel, LocalModel, GgufModel, TinyModel)
STRETCH = "ask for less, or stretch it with engine.yarn"


class Asked(NamedTuple):
    """Tokens that a key of the recipe asks of an input model; raised: positions that a training gave its descendant."""

    key: str
    model: str
    tokens: int
    raised: int
    remedy: str


def models_of(recipe: Recipe) -> dict[str, Model]:
    """Key below `inputs` -> the model, of those that the recipe has."""
    return {key: one for key, one in recipe.inputs.sources.items() if isinstance(one, MODELS)}


def folder_of(source: Model, fetched: Path) -> Path | None:
    """Where a model's config.json lies on this machine: in its own folder, in the run's copy of it (`fetched`), in the
    hub's cache.
    """
    places = [source.path] if isinstance(source, LocalModel) else [fetched / "model"]
    if isinstance(source, HubModel) and (place := cached(source.hub, source.revision, "model")):
        places.append(place)
    return next((place for place in places if (place / CONFIG).is_file()), None)


def folders_of(recipe: Recipe, run: Path) -> dict[str, Path]:
    """Key of `models_of` -> its folder, of the models that are here."""
    folders = {name: folder_of(source, run / stage_of(name)) for name, source in models_of(recipe).items()}
    return {name: folder for name, folder in folders.items() if folder}


def fetched_descriptions(recipe: Recipe, missing: Collection[str], scratch: Path) -> dict[str, Path]:
    """As `folders_of`, of the hub's models that are not here: what describes them, copied into `scratch`.

    Those that are not pinned, or cannot be reached, are left out.
    """
    folders = {}
    for name, source in models_of(recipe).items():
        if name in missing and isinstance(source, HubModel) and source.revision != UNPINNED:
            with contextlib.suppress(UserError):
                into = scratch / name
                folders[name] = snapshot(source.hub, source.revision, "model", DESCRIBING, ("*/*",), into)
    return folders


def refusals(recipe: Recipe, folders: dict[str, Path], looked_at: Collection[str] = ()) -> list[str]:
    """Sentences, each about what would stop the run later.

    folders: of the models that are here, by the keys of `models_of`; looked_at: those whose files are checked already
    """
    said: list[str] = []
    for name in folders.keys() - set(looked_at):
        with _collected(said, f"inputs.{name}: "):
            _check_folder(folders[name])
    if recipe.large_sft and (large := folders.get("base_large")):
        with _collected(said, "inputs.base_large: "):
            decoder.read_config(read_config(large), str(large / CONFIG))
    for one in _lengths(recipe):
        if one.model in folders and one.tokens > one.raised:
            with _collected(said, one.key, "engine.max_model_len"):
                check_context(folders[one.model], one.tokens, one.remedy)
    if (section := recipe.large_sft) and section.sft_data.max_tokens > section.sft.seq_length:
        said.append(
            f"large_sft.sft_data.max_tokens: {section.sft_data.max_tokens} tokens of a trace do not fit into "
            f"large_sft.sft.seq_length ({section.sft.seq_length}); lower the one or raise the other"
        )
    for name, source in _local_sets(recipe).items():
        with _collected(said, f"inputs.{name}: "):
            read_problems(source, [source.file], name, str(source.file))
    return list(dict.fromkeys(said))


def _check_folder(folder: Path) -> None:
    files = model_files(folder)
    check_described(folder, files)
    if importlib.util.find_spec("transformers"):
        check_tokenizer(folder, files)


def _lengths(recipe: Recipe) -> Iterator[Asked]:
    """What is asked of each input model and of what is trained from it."""
    small, large = recipe.small_rl, recipe.large_sft
    raised: dict[str, int] = {}  # by a training's `context`, for it and for what starts from it
    for name, stage in small.rl.items() if small else ():
        raised[name] = max(stage.context or 0, raised.get(stage.start, 0))
        if not stage.engine.yarn:
            key = f"small_rl.rl.{name}.engine.max_model_len"
            yield Asked(key, "base_small", stage.engine.max_model_len, raised[name], "raise `context`")
    for name, stage in recipe.opd.items():
        raised[name] = max(stage.context or 0, raised.get(stage.student, 0))
        if not stage.engine.yarn:
            key, own = f"opd.{name}.engine.max_model_len", _input(recipe, stage.student)
            yield Asked(key, own, stage.engine.max_model_len, raised[name], "raise `context`")
    for key, model, engine in _engines(recipe):
        own = model if model == "teacher" else _input(recipe, model)
        if not engine.yarn:
            yield Asked(f"{key}.max_model_len", own, engine.max_model_len, raised.get(model, 0), STRETCH)
    if small and small.format_sft:
        yield Asked("small_rl.format_sft.max_tokens", "base_small", small.format_sft.max_tokens, 0, "ask for less")
    if large:
        yield Asked("large_sft.sft_data.max_tokens", "base_large", large.sft_data.max_tokens, 0, "ask for less")


def _input(recipe: Recipe, model: str) -> str:
    """The key of `models_of` of the model that a checkpoint was trained from."""
    return recipe.source(model).replace("models/", "models.", 1)


def _engines(recipe: Recipe) -> Iterator[tuple[str, str, Engine]]:
    """Every engine beside those of RL: its key, the model that it loads, itself."""
    if recipe.small_rl:
        yield from _engines_of_specialist(recipe.small_rl)
    if recipe.large_sft and recipe.large_sft.traces:
        for traces in recipe.traces.values():
            yield "large_sft.traces.engine", traces.writer, recipe.large_sft.traces.engine
    for name, stage in recipe.opd.items():
        for model in (stage.teacher, *([stage.teacher_base] if stage.teacher_base else [])):
            yield f"opd.{name}.distillation.engine", model, stage.distillation.engine
    for checkpoint, section in recipe.evaluations.values():
        other = section.engine == recipe.evaluate.large_engine
        yield f"evaluate.{'large_engine' if other else 'generate.engine'}", checkpoint, section.engine


def _engines_of_specialist(small: SmallRl) -> Iterator[tuple[str, str, Engine]]:
    yield "small_rl.difficulty.engine", small.difficulty_model, small.difficulty.engine
    if small.teacher:
        yield "small_rl.teacher.engine", "teacher", small.teacher.engine
    for name, stage in small.rl.items():
        if stage.overlap:
            yield f"small_rl.rl.{name}.overlap.generate.engine", stage.start, stage.overlap.generate.engine
    for name, search in small.temperature_search.items():
        yield f"small_rl.temperature_search.{name}.engine", search.model, search.engine
    if small.probe and (rollouts := small.probe.rollouts):
        yield "small_rl.probe.rollouts.generate.engine", rollouts.model, rollouts.generate.engine


def _local_sets(recipe: Recipe) -> dict[str, FileProblems]:
    """Key below `inputs` -> the set, of the files that are here."""
    sets = recipe.inputs.sources.items()
    return {name: source for name, source in sets if isinstance(source, FileProblems) and source.file.is_file()}


@contextlib.contextmanager
def _collected(said: list[str], key: str, instead_of: str = "") -> Iterator[None]:
    """What is refused in the block, under its key."""
    try:
        yield
    except UserError as error:
        said.append(key + str(error).removeprefix(instead_of))
