"""How a response becomes right or wrong."""

from typing import Annotated, Literal

from pydantic import Field

from polaris.grading.answers import Grader
from polaris.stage.settings import Count, Fraction, Section


class Grading(Section):
    """How a response becomes right or wrong (polaris.grading.grade)."""

    grader: Annotated[Grader, Field(description="deepscaler: V1's, for fidelity; see docs/reward.md")]
    format: Annotated[
        Literal["think", "none", "mention"],
        Field(description="think: an answer without </think> is wrong; mention: no box, the gold answer is named"),
    ]
    timeout: Annotated[float, Field(gt=0, description="seconds for one answer")]
    workers: Count
    max_failure_rate: Annotated[Fraction, Field(description="share of timeouts and crashes that stops the stage")]
