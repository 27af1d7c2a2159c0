"""Everything that comes from outside."""

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from polaris.models.settings import Model
from polaris.problems.settings import Problems
from polaris.stage.settings import Section

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")  # of a folder, and of a column
REPORTED = ("average", "mean")  # what the report calls the mean over the benchmarks


class Inputs(Section):
    """Everything that comes from outside, by name."""

    base_small: Annotated[Model | None, Field(description="start of the specialist; null, with small_rl: none")]
    base_large: Annotated[Model | None, Field(description="start of the generalist; null, with large_sft, merge: none")]
    distilled: Annotated[Model | None, Field(description="a generalist trained elsewhere; null: large_sft's, or none")]
    teacher: Annotated[Model | None, Field(description="who answers the format problems; null: their own solutions")]
    models: Annotated[dict[str, Model], Field(default_factory=dict, description="further ones, evaluated as they are")]
    problems: Annotated[
        dict[str, Problems], Field(default_factory=dict, description="rl, format and distill, as far as they are used")
    ]
    benchmarks: dict[str, Problems]

    @model_validator(mode="after")
    def _names_of_sets(self) -> Self:
        for where in ("models", "problems", "benchmarks"):
            for name in getattr(self, where):
                if not NAME.fullmatch(name):
                    raise ValueError(f"{where}.{name}: a name has letters, digits, _, - and ., and begins with no .")
        for name in self.benchmarks:
            if name.lower() in REPORTED:
                raise ValueError(f"benchmarks.{name}: choose another name; the report has a column {name} of its own")
        if not self.benchmarks:
            raise ValueError("benchmarks: there is none, and nothing to evaluate on")
        return self

    @property
    def given(self) -> dict[str, Model]:
        """The models whose shapes the run's models have, by the folders of their stages: base_small, models/mine."""
        single = {name: getattr(self, name) for name in ("base_small", "base_large", "distilled")}
        named = {f"models/{name}": one for name, one in self.models.items()}
        return {name: one for name, one in (single | named).items() if one}

    @property
    def sources(self) -> dict[str, Model | Problems]:
        """Everything by its dotted key: base_small, models.mine, benchmarks.aime25."""
        single = {name: getattr(self, name) for name in ("base_small", "base_large", "distilled", "teacher")}
        named = {
            f"{part}.{name}": one
            for part in ("models", "problems", "benchmarks")
            for name, one in getattr(self, part).items()
        }
        return {key: one for key, one in single.items() if one} | named
