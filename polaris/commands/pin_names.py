"""Pins of the shipped models and problem sets that a recipe names: written into the recipe; the presets stay.

models:
  qwen3_4b: {revision: <commit>}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from polaris.problems.hub import Kind
from polaris.problems.settings import UNPINNED
from polaris.recipe.layers import CATALOGUE, catalogue, layered, listed, mapping_at, read_layer, without_nulls
from polaris.recipe.named import references
from polaris.stage.errors import UserError

KINDS: dict[str, Kind] = {"models": "model", "problem_sets": "dataset"}


class Named(NamedTuple):
    """An unpinned entry of the presets: its block, its name, what it stands for."""

    block: str
    name: str
    hub: str


def unpinned_names(path: Path) -> list[Named]:
    """The shipped models and sets that a recipe file, with what it extends, names and does not pin."""
    layer = listed(layered([catalogue(), read_layer(path)]))
    values, shipped = without_nulls(layer.values), set(map(str, CATALOGUE))
    found = []
    for _, (block, name) in references({"inputs": values.get("inputs")} | {key: values.get(key) for key in KINDS}):
        entry, origin = mapping_at(values, block, name), layer.origins.get((block, name, "revision"))
        if block in KINDS and entry.get("revision") == UNPINNED and origin and origin.file in shipped:
            found.append(Named(block, name, entry["hub"]))
    return list(dict.fromkeys(found))


def with_pins(text: str, commits: Mapping[Named, str], where: Path) -> str:
    """The text of a recipe with `revision` of each name, in a block of its own or at the head of the one that is there.

    Raises UserError where the recipe writes that block on one line.
    """
    for block in KINDS:
        lines = [f'  {one.name}: {{revision: "{commit}"}}\n' for one, commit in commits.items() if one.block == block]
        if not lines:
            continue
        whole = yaml.compose(text, Loader=yaml.SafeLoader)
        there = next((value for key, value in whole.value if key.value == block), None) if whole else None
        if there is None:
            text = f"{text.rstrip()}\n\n{block}: # by `polaris pin`\n{''.join(lines)}"
            continue
        if there.flow_style or there.start_mark.column != 2:
            raise UserError(
                f"{where}: line {there.start_mark.line + 1}: {block} is written in a form to which no pin can be "
                f"added; write it as a block, two blanks in"
            )
        start = there.start_mark.index - there.start_mark.column
        text = text[:start] + "".join(lines) + text[start:]
    return text
