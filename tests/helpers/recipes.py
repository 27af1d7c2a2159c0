"""The shipped recipes, and the laptop's under an overlay."""

from pathlib import Path
from typing import Any

from polaris.recipe import recipe
from polaris.recipe.layers import catalogue, listed, read_layer
from polaris.recipe.named import resolved

ROOT = Path(__file__).resolve().parents[2]
LAPTOP = ROOT / "configs/laptop.yaml"


def overlaid(tmp_path: Path, overlay: str) -> recipe.Recipe:
    """The laptop recipe under `mine.yaml`, whose text is given."""
    (tmp_path / "mine.yaml").write_text(overlay)
    return recipe.load([LAPTOP, tmp_path / "mine.yaml"])


def values_of(path: Path) -> dict[str, Any]:
    """A recipe file's values with those that it extends, and what its names stand for."""
    return resolved(listed(read_layer(path).over(catalogue())).values, str)
