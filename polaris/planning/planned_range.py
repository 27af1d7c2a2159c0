"""The stages of a recipe, with what is not known at its lowest and at its highest."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from polaris.hardware.gpus import Gpu
from polaris.planning.planned import Planned
from polaris.planning.planned_stages import Planner
from polaris.recipe.recipe import Recipe


def planned_stages(
    recipe: Recipe, gpu: Gpu, run: Path, nodes: Callable[[str], int] = lambda rule: 1
) -> tuple[list[Planned], dict[str, str]]:
    """Every stage, and key of the recipe -> what is guessed about it. Raises UserError as `Planner`."""
    low, high = (Planner(recipe, gpu, run, nodes, end) for end in (0, 1))
    lowest = list(low.stages())
    if not low.known.guessed:
        return lowest, {}
    return [_range(*both) for both in zip(lowest, high.stages(), strict=True)], low.known.guessed


def _range(low: Planned, high: Planned) -> Planned:
    """From the one to the other; wrong is what even the lower one is, what only the higher one is becomes a note."""
    notes = (*high.notes, *(f"if it is as large as that: {reason}" for reason in high.wrong if not low.wrong))
    return replace(
        high,
        tokens=(low.tokens[0], high.tokens[1]),
        flops=(low.flops[0], high.flops[1]),
        seconds=(low.seconds[0], high.seconds[1]),
        notes=notes,
        wrong=low.wrong,
    )
