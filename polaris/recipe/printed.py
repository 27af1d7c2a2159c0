"""A whole recipe as text: every value of a run, and the file and line that it comes from."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from polaris.recipe.named import Key
from polaris.recipe.recipe import Loaded
from polaris.recipe.recipe_files import BETWEEN_REPLICATES, SEEDS, as_written
from polaris.stage.manifest import replace_file

WIDTH = 60  # of a value, before its origin


def keep(loaded: Loaded, files: list[str | Path]) -> None:
    """Write `text` to runs/<run>/recipe.yaml, whole or not at all."""
    path = Path("runs") / loaded.recipe.run / "recipe.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text(loaded, files))


def text(loaded: Loaded, files: Sequence[str | Path]) -> str:
    """YAML with a comment per value: `file:line`, `instead of` what a layer below has, `off` where no file gives it."""
    values = as_written(loaded.recipe.model_dump(mode="json", by_alias=True))
    head = f"# {' '.join(map(str, files))}: every value of the run {loaded.recipe.run}, and where it stands\n"
    return head + "\n".join(_lines(values, (), loaded)) + "\n"


def _lines(values: dict[str, Any], at: Key, loaded: Loaded) -> Iterator[str]:
    for name, value in values.items():
        key, indent = (*at, name), "  " * len(at)
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, key, loaded)
        else:
            yield f"{indent}{name}: {_written(value)}".ljust(WIDTH) + f"  # {_comment(key, loaded)}"


def _written(value: Any) -> str:
    """A value on one line, as YAML reads it again."""
    if isinstance(value, list):
        return f"[{', '.join(_written(item) for item in value)}]"
    if isinstance(value, str) and "\n" in value:
        return json.dumps(value, ensure_ascii=False)
    flow = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True)
    return flow.strip()[1:-1]


def _comment(key: Key, loaded: Loaded) -> str:
    origin = loaded.origins.get(key) or (loaded.origins.get(("device",)) if key[-1] == "device" else None)
    if origin is None:
        return "off"
    words = [str(origin)]
    if origin.replaced is not None:
        words.append(f"instead of {origin.replaced}")
    if key[-1] in SEEDS and loaded.recipe.replicate:
        words.append(f"replicate {loaded.recipe.replicate} adds {loaded.recipe.replicate * BETWEEN_REPLICATES:,}")
    return ", ".join(words)
