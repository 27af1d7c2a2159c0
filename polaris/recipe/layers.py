"""Recipe files laid one over another, each value with the line that it comes from.

A file names the files below it (`extends`); files given together lie in their order. A mapping is merged key by key,
null removes a key, and a mapping that names its kind (a model's `hub`, a set's `file`, ...) replaces what was there.
Lowest of all lie the named models and problem sets (CATALOGUE).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from polaris.recipe.named import Key, over_name, references, replaces
from polaris.recipe.recipe_files import LIKE, RL, mapping_at
from polaris.recipe.recipe_yaml import read_document, read_file
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.suggestions import suggestion

SHIPPED = ROOT / "configs"
HARDWARE = "hardware"  # the key whose layer decides anew what the hardware decides in the layers below it
CATALOGUE = [SHIPPED / "presets" / f"{name}.yaml" for name in ("models", "benchmarks", "training")]
BENCHMARKS = ("inputs", "benchmarks")


@dataclass(frozen=True)
class Origin:
    """Where a value stands. line: 0 where it is no file's; replaced: the value of the layers below, where it is another
    one; beneath_hardware: a higher layer gives `hardware`.
    """

    file: str
    line: int
    replaced: Any = None
    beneath_hardware: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Layer:
    """Plain values, and the origin of every key in them, lists as wholes."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Key, Origin] = field(default_factory=dict)

    def over(self, low: "Layer") -> "Layer":
        """This layer on top of another one. A list of benchmarks replaces those below, with their samples; a mapping
        adds to them.
        """
        above = mapping_at(self.values, "inputs").get("benchmarks")
        if isinstance(above, list):
            low = _without_samples(low, listed(self))
        elif isinstance(above, dict):
            low = listed(low)
        below = low.origins
        if self.values.get(HARDWARE) is not None:
            below = {key: replace(origin, beneath_hardware=True) for key, origin in below.items()}
        values, origins = _laid_over(low.values, self.values, (), below, self.origins)
        return Layer(values, origins)


def read_layer(path: str | Path, waiting: tuple[Path, ...] = ()) -> Layer:
    """A recipe file on top of what it extends. Raises UserError for bad YAML, an unknown name, a circle."""
    values, node = read_document(path)
    here = Path(path).resolve()
    own = Layer({key: value for key, value in values.items() if key != "extends"}, _origins(node, path))
    low = Layer()
    for below in _extended(values, path):
        if below in (*waiting, here):
            raise UserError(f"{path}: extends: {below.name} leads back to this file")
        low = read_layer(below, (*waiting, here)).over(low)
    return own.over(low)


def catalogue() -> Layer:
    """The models and problem sets that every recipe may name."""
    return layered(read_layer(file) for file in CATALOGUE)


def layered(layers: Iterable[Layer]) -> Layer:
    """All layers, the first one lowest."""
    low = Layer()
    for layer in layers:
        low = layer.over(low)
    return low


def listed(layer: Layer) -> Layer:
    """The layer with a list of benchmarks, of names and of {name: set}, as a mapping."""
    listing = mapping_at(layer.values, "inputs").get("benchmarks")
    if not isinstance(listing, list) or not all(isinstance(item, str | dict) for item in listing):
        return layer
    pairs = [pair for item in listing for pair in ({item: item} if isinstance(item, str) else item).items()]
    high = _at(layer.origins[BENCHMARKS], {"inputs": {"benchmarks": dict(pairs)}})
    return Layer(*_laid_over(layer.values, high.values, (), layer.origins, high.origins))


def _without_samples(low: Layer, high: Layer) -> Layer:
    """The lower layer without the samples and instructions of benchmarks that the higher one leaves out."""
    kept = mapping_at(high.values, *BENCHMARKS)
    further = mapping_at(low.values, "evaluate", "extra_evaluations")

    def gone(section: Any) -> dict[str, Any]:
        left_out = {key: mapping_at(section, key).keys() - kept.keys() for key in ("k", "instructions")}
        return {key: dict.fromkeys(names) for key, names in left_out.items() if names}

    usual = gone(mapping_at(low.values, "evaluate", "generate"))
    extra = {name: gone(one) for name, one in further.items() if isinstance(one, dict)}
    return _at(
        high.origins[BENCHMARKS], {"evaluate": {"generate": usual} | ({"extra_evaluations": extra} if extra else {})}
    ).over(low)


def given(values: dict[str, Any], source: str) -> Layer:
    """Values that stand in no file, as those of --config."""
    return _at(Origin(source, 0), values)


def _at(origin: Origin, values: dict[str, Any]) -> Layer:
    """A layer whose values all stand in one place."""
    origins: dict[Key, Origin] = {}

    def note(part: dict[str, Any], key: Key) -> None:
        for name, value in part.items():
            origins[(*key, name)] = origin
            if isinstance(value, dict):
                note(value, (*key, name))

    note(values, ())
    return Layer(values, origins)


def without_nulls(values: Any) -> Any:
    """A copy without the keys that a null removes, for when nothing can be laid over the values any more."""
    if not isinstance(values, dict):
        return values
    return {name: without_nulls(value) for name, value in values.items() if value is not None}


def origin_of(origins: dict[Key, Origin], key: str) -> Origin | None:
    """Where a dotted key, or the longest part of it, comes from."""
    parts = tuple(key.split("."))
    return next((origins[parts[:n]] for n in range(len(parts), 0, -1) if parts[:n] in origins), None)


def placed(sentences: str, origins: dict[Key, Origin], otherwise: str) -> str:
    """Each line of "\\0: section: key: ..." with the file and line of the key in place of the zero.

    otherwise: the file of keys that none gives
    """
    lines = []
    for line in sentences.splitlines():
        # Where keys disagree, the section comes first, and the key that is to blame begins the message.
        section, _, message = line.removeprefix("\0: ").partition(": ")
        origin = origin_of(origins, f"{section}.{message.partition(':')[0]}")
        place = f" (line {origin.line})" if origin and origin.line else ""
        lines.append(line.replace("\0", origin.file if origin else otherwise, 1) + place)
    return "\n".join(lines)


def inherited(whole: dict[str, Any], values: dict[str, Any], stated: dict[Key, Origin]) -> dict[Key, Origin]:
    """Origins in which what an entry takes from the one that it is `like`, a further evaluation from
    `evaluate.generate` and a section from a named engine or grading, has the origin of that.

    whole: values in which stages and evaluations are whole; values, stated: as the files have them
    """
    origins = dict(stated)

    def take(source: Key, target: Key) -> None:
        for key, origin in list(origins.items()):
            if key[: len(source)] == source:
                origins.setdefault((*target, *key[len(source) :]), origin)

    for section in LIKE:
        for name in mapping_at(values, *section):
            last = (*section, name)
            while other := mapping_at(values, *last).get("like"):
                own = (*section, other)
                last = own if mapping_at(values, *own) else (*RL, other)
                take(last, (*section, name))
    for name in mapping_at(values, "evaluate", "extra_evaluations"):
        take(("evaluate", "generate"), ("evaluate", "extra_evaluations", name))
    for place, entry in references(whole):
        take(entry, place)
    for name in mapping_at(values, *BENCHMARKS):
        for own, asked in (("k", "k"), ("instruction", "instructions")):
            usual = ("evaluate", "generate", asked, name)
            take((*BENCHMARKS, name, own), usual)
            for further in mapping_at(values, "evaluate", "extra_evaluations"):
                take(usual, ("evaluate", "extra_evaluations", further, asked, name))
    return origins


def extended(path: str | Path) -> list[Path]:
    """The files that a recipe file names in `extends`, the lowest first. Raises UserError as `read_layer`."""
    return _extended(read_file(path), path)


def _extended(values: dict[str, Any], path: str | Path) -> list[Path]:
    names = values.get("extends") or []
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: extends: must be a list of recipes, not {names!r:.80}")
    return [_found(name, path) for name in names]


def _found(name: str, path: str | Path) -> Path:
    """A shipped recipe by its name, a file by its path, relative to the file that names it."""
    if name.endswith((".yaml", ".yml")):
        if not (file := Path(path).resolve().parent / name).is_file():
            raise UserError(f"{path}: extends: {name}: there is no such file beside this one")
        return file.resolve()
    names = {str(file.relative_to(SHIPPED).with_suffix("")): file for file in sorted(SHIPPED.rglob("*.yaml"))}
    if name not in names:
        raise UserError(f"{path}: extends: {name} is no shipped recipe{suggestion(name, names)}")
    return names[name]


def _origins(node: yaml.Node, path: str | Path) -> dict[Key, Origin]:
    """Key -> file and line, `<<` resolved as YAML does: own keys count before merged ones."""
    origins: dict[Key, Origin] = {}

    def note(node: yaml.Node, key: Key) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for name, value in node.value:
            if name.value == "<<":
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    note(merged, key)
        for name, value in node.value:
            if name.value != "<<":
                origins[(*key, name.value)] = Origin(str(path), name.start_mark.line + 1)
                note(value, (*key, name.value))

    note(node, ())
    return origins


def _laid_over(
    low: dict[str, Any], high: dict[str, Any], at: Key, below: dict[Key, Origin], above: dict[Key, Origin]
) -> tuple[dict[str, Any], dict[Key, Origin]]:
    values, origins = dict(low), dict(below)
    for name, value in high.items():
        key, old = (*at, name), values.get(name)
        value = over_name(key, old, value)
        if isinstance(old, dict) and isinstance(value, dict) and not replaces(key, value):
            values[name], origins = _laid_over(old, value, key, origins, above)
            origins[key] = above[key]
            continue
        values[name] = value
        if isinstance(old, dict):
            origins = {path: origin for path, origin in origins.items() if path[: len(key)] != key}
        if isinstance(value, dict):
            origins |= {path: origin for path, origin in above.items() if path[: len(key)] == key}
        origins[key] = above[key]
        if name in low and old != value and not isinstance(value, dict) and not isinstance(old, dict):
            origins[key] = Origin(above[key].file, above[key].line, replaced=old)
    return values, origins
