"""The shipped recipes, and the laptop's under an overlay."""

from pathlib import Path

from polaris.recipe import recipe

ROOT = Path(__file__).resolve().parents[2]
LAPTOP = ROOT / "configs/laptop.yaml"


def overlaid(tmp_path: Path, overlay: str) -> recipe.Recipe:
    """The laptop recipe under `mine.yaml`, whose text is given."""
    (tmp_path / "mine.yaml").write_text(overlay)
    return recipe.load([LAPTOP, tmp_path / "mine.yaml"])
