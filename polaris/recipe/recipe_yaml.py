"""One file of a recipe as plain values: bounded in size and depth, without a repeated key."""

import copy
import functools
from pathlib import Path
from typing import Any

import yaml

from polaris.stage.errors import UserError

BYTES, VALUES, LEVELS = 1_000_000, 50_000, 50  # a hundred times the largest recipe here, and five times as deep


def read_file(path: str | Path) -> dict[str, Any]:
    """The values of a recipe file. Raises UserError as `read_document`."""
    return read_document(path)[0]


def read_document(path: str | Path) -> tuple[dict[str, Any], yaml.MappingNode]:
    """The values of a recipe file, and the nodes that they come from, which know their lines.

    Raises UserError naming file and line for anything else than a mapping in YAML.

    Values behind aliases count wherever they are used: ten lines of aliases can stand for billions of values.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such recipe file") from None
    except OSError as error:
        raise UserError(f"{path}: this recipe file cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    if len(text) > BYTES:
        raise UserError(f"{path}: {len(text)} characters are no recipe; at most {BYTES} are read")
    try:
        values, node = _values(text, str(path))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
    if values is None:
        raise UserError(f"{path}: this file holds no key; leave it out, or write {{}} for an overlay of nothing")
    if not isinstance(values, dict):
        raise UserError(f"{path}: this is no recipe: a mapping of sections is expected")
    return copy.deepcopy(values), node


class _Loader(yaml.SafeLoader):
    """Stops at the level after LEVELS, long before Python's limit of recursion."""

    level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.level += 1
        if self.level > LEVELS:
            line = self.peek_event().start_mark.line + 1
            raise UserError(f"{self.name}: line {line}: more than {LEVELS} levels stand inside each other")
        node = super().compose_node(parent, index)
        self.level -= 1
        return node


@functools.lru_cache(32)
def _values(text: str, name: str) -> tuple[Any, Any]:
    """The text's values and their node, once the nodes are known to be few. name: for error messages.

    The presets' texts are read for every recipe, and are most of what is read.
    """
    loader = _Loader(text)
    loader.name = name
    node = loader.get_single_node()
    if node is None:
        return None, None
    _measured(node, {})
    try:
        return loader.construct_document(node), node
    except (ValueError, OverflowError) as error:  # 2026-13-01, a number of 5,000 digits
        raise UserError(f"{name}: a value cannot be read ({error})") from None


def _measured(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """(values, levels) under a node. known: those of the nodes seen so far, None while a node is being looked at.

    Raises UserError for too many values or levels, an alias of what it stands in, and a repeated key, of which plain
    YAML silently keeps the last.
    """
    where = f"{node.start_mark.name}: line {node.start_mark.line + 1}"
    if id(node) in known:
        if (size := known[id(node)]) is None:
            raise UserError(f"{where}: this part holds an alias of itself")
        return size
    known[id(node)] = None
    children = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        _refuse_repeated_keys(node)
        children = [child for pair in node.value for child in pair]
    sizes = [_measured(child, known) for child in children]
    values, levels = 1 + sum(size[0] for size in sizes), 1 + max((size[1] for size in sizes), default=0)
    if values > VALUES:
        raise UserError(f"{where}: its aliases stand for {values} values; a recipe has at most {VALUES}")
    if levels > LEVELS:
        raise UserError(f"{where}: more than {LEVELS} levels stand inside each other, by aliases")
    known[id(node)] = values, levels
    return values, levels


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        where = f"{key.start_mark.name}: line {line}"
        if not isinstance(key, yaml.ScalarNode):
            raise UserError(f"{where}: a key must be a word")
        if key.value in lines and key.value != "<<":
            raise UserError(f"{where}: key {key.value} is in line {lines[key.value]} already")
        lines[key.value] = line
