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

    base_small: Model
    base_large: Annotated[Model | None, Field(description="null, with large_sft, merge: no generalist")]
    teacher: Annotated[Model | None, Field(description="who answers the format problems; null: their own solutions")]
    problems: Annotated[dict[str, Problems], Field(description="rl, and format and distill where they are used")]
    benchmarks: dict[str, Problems]

    @model_validator(mode="after")
    def _names_of_sets(self) -> Self:
        for where, sets in (("problems", self.problems), ("benchmarks", self.benchmarks)):
            for name in sets:
                if not NAME.fullmatch(name):
                    raise ValueError(f"{where}.{name}: a name has letters, digits, _, - and ., and begins with no .")
        for name in self.benchmarks:
            if name.lower() in REPORTED:
                raise ValueError(f"benchmarks.{name}: choose another name; the report has a column {name} of its own")
        return self
