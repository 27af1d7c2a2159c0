"""What is known of a run before it is planned: how many problems its sets have, and what finished stages measured."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from polaris.hardware import shapes
from polaris.hardware.model_shapes import known_shape
from polaris.hardware.shapes import Shape
from polaris.models.settings import HubModel, Model, TinyModel
from polaris.planning.plan_time import Range
from polaris.problems.settings import FileProblems
from polaris.recipe.recipe import Recipe
from polaris.stage import manifest
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError

# Mean length of a response as a share of max_tokens, where the run has not measured it: a guess.
MEAN_LENGTH: Range = (0.25, 0.5)
# About so many rows have the training sets of which a recipe takes all, by their cards.
ROWS = {
    "inclusionAI/AReaL-boba-Data": 106_000,
    "POLARIS-Project/Polaris-Dataset-53K": 53_000,
    "POLARIS-Project/Polaris-V2-RL-14K": 14_500,
}


UNCOUNTED: Range = (1_000.0, 100_000.0)  # problems of a set of which nobody says how many it has: a guess
End = Literal[0, 1]  # of a range: the lowest, the highest


def count(source: object) -> float | None:
    """Problems of a set, as its section or its file says; None where neither does."""
    keys = ("max_rows", "count")
    rows = next((value for key in keys if (value := getattr(source, key, None))), ROWS.get(getattr(source, "hub", "")))
    if rows is None and isinstance(source, FileProblems) and source.file.is_file():
        rows = sum(1 for _ in data_rows(source.file, ()))
    return None if rows is None else float(rows)


@dataclass(frozen=True)
class Known:
    """A recipe and the folder of its run, in which finished stages tell what is otherwise assumed.

    end: which end of a guess is taken where nothing is known; guessed: key of the recipe -> the guess, in words
    """

    recipe: Recipe
    run: Path
    end: End = 0
    guessed: dict[str, str] = field(default_factory=dict)

    def finished(self, stage: str) -> manifest.Manifest | None:
        """The manifest of a stage, by its folder inside the run; None where it is missing or its files are gone."""
        for name in ("data.json", "checkpoint.json"):
            if (path := self.run / stage / name).is_file():
                try:
                    return manifest.read(path)
                except UserError:
                    return None
        return None

    def seconds(self, stage: str) -> float | None:
        """Wall time of a finished stage."""
        return done.seconds if (done := self.finished(stage)) else None

    def rows(self, stage: str) -> float | None:
        """Problems that a finished data stage kept."""
        done = self.finished(stage)
        value = done.metrics.get("problems") if done else None
        return float(value) if isinstance(value, (int, float)) else None

    def problems(self, name: str) -> float:
        """Problems of a set of `inputs.problems`."""
        return self.rows(f"problems/{name}") or self.counted(
            self.recipe.inputs.problems[name], f"inputs.problems.{name}"
        )

    def counted(self, source: object, where: str) -> float:
        """Problems of a set, or a guess."""
        if (rows := count(source)) is None:
            low, high = UNCOUNTED
            self.guessed[where] = f"how many problems it has is not known; {low:,.0f} to {high:,.0f} are planned for"
            rows = UNCOUNTED[self.end]
        return rows

    def lengths(self, stage: str, longest: int) -> Range:
        """Mean tokens of a response: measured by the stage, else assumed of the longest one's."""
        done = self.finished(stage)
        if sets := done.metrics.get("sets") if done else None:
            tokens = sum(one["mean_tokens"] * one["responses"] for one in sets.values())
            mean = tokens / sum(one["responses"] for one in sets.values())
            return mean, mean
        return MEAN_LENGTH[0] * longest, MEAN_LENGTH[1] * longest

    def shape(self, stage: str, source: Model) -> Shape:
        """As published, else from config.json where that is here, else a guess. Raises UserError for a local model."""
        key = stage.replace("/", ".")
        if isinstance(source, TinyModel):
            raise UserError(f"inputs.{key}: a tiny model runs on a CPU; there is no GPU to plan for")
        try:
            known = known_shape(source, self.run / stage / "model")
        except UserError as error:
            raise UserError(f"inputs.{key}: its shape is not known ({error})") from None
        if known is None and isinstance(source, HubModel):
            guess = f"the shape of {source.hub} is not known without its config.json; planned by the size in its name"
            self.guessed[f"inputs.{key}"] = guess
            return shapes.between(source.hub)[self.end]
        assert known
        return known
