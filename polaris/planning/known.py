"""What is known of a run before it is planned: how many problems its sets have, and what finished stages measured."""

from dataclasses import dataclass
from pathlib import Path

from polaris.planning.plan_time import Range
from polaris.recipe.recipe import Recipe
from polaris.stage import manifest
from polaris.stage.errors import UserError

# Mean length of a response as a share of max_tokens, where the run has not measured it: a guess.
MEAN_LENGTH: Range = (0.25, 0.5)
# About so many rows have the training sets of which a recipe takes all, by their cards.
ROWS = {
    "inclusionAI/AReaL-boba-Data": 106_000,
    "POLARIS-Project/Polaris-Dataset-53K": 53_000,
}


def count(source: object, where: str) -> float:
    """Problems of a set, as its section says. Raises UserError when it takes all rows of a set of unknown size."""
    keys = ("max_rows", "count")
    rows = next((value for key in keys if (value := getattr(source, key, None))), ROWS.get(getattr(source, "hub", "")))
    if rows is None:
        raise UserError(f"{where}: the number of problems is not known before the stage has run; give count")
    return float(rows)


@dataclass(frozen=True)
class Known:
    """A recipe and the folder of its run, in which finished stages tell what is otherwise assumed."""

    recipe: Recipe
    run: Path

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
        """Problems of a set of `inputs.problems`. Raises UserError where nobody knows."""
        return self.rows(f"problems/{name}") or count(self.recipe.inputs.problems[name], f"inputs.problems.{name}")

    def lengths(self, stage: str, longest: int) -> Range:
        """Mean tokens of a response: measured by the stage, else assumed of the longest one's."""
        done = self.finished(stage)
        if sets := done.metrics.get("sets") if done else None:
            tokens = sum(one["mean_tokens"] * one["responses"] for one in sets.values())
            mean = tokens / sum(one["responses"] for one in sets.values())
            return mean, mean
        return MEAN_LENGTH[0] * longest, MEAN_LENGTH[1] * longest
