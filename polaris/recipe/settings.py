"""Everything that comes from outside."""

from typing import Annotated

from pydantic import Field

from polaris.models.settings import Model
from polaris.problems.settings import Problems
from polaris.stage.settings import Section


class Inputs(Section):
    """Everything that comes from outside, by name."""

    base_small: Model
    base_large: Annotated[Model | None, Field(description="null, with large_sft, merge: no generalist")]
    teacher: Annotated[Model | None, Field(description="who answers the format problems; null: their own solutions")]
    problems: Annotated[dict[str, Problems], Field(description="rl, and format and distill where they are used")]
    benchmarks: dict[str, Problems]
