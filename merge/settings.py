"""The recipe's section of the merge: theta = alpha * base + (1 - alpha) * distilled."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from merge.alpha import spelled
from polaris.settings import Count, Section


class Merge(Section):
    """Which alphas, and how they are made (merge.merge_models)."""

    alphas: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]
    backend: Annotated[Literal["stream", "mergekit"], Field(description="stream: ours; mergekit: mergekit's linear")]
    threads: Count

    @field_validator("alphas")
    @classmethod
    def _spelled_once(cls, alphas: list[float]) -> list[float]:
        names = [spelled(alpha) for alpha in alphas]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"alpha {twice[0]} occurs twice")
        return alphas


class MergeOne(Section):
    """What one merge needs to know; the other alphas of the sweep are none of its business."""

    alpha: Annotated[float, Field(gt=0, lt=1)]
    backend: Literal["stream", "mergekit"]
    threads: Count
