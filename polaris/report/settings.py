"""Settings of the report."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from polaris.evaluation.settings import Published, Resampling, SelfDistillation
from polaris.stage.settings import Count, Section


class Report(Resampling):
    """The page, its Markdown and results.json."""

    published: Annotated[
        str | None, Field(description="entry of polaris/recipe/published.yaml shown beside ours; null: none")
    ]

    pass_k: Annotated[list[Count], Field(description="k of pass@k, at most the samples of any benchmark")]
    length_groups: Annotated[
        list[Count], Field(min_length=1, description="tokens at which a group of longer responses begins, rising")
    ]
    worst_k: Annotated[int, Field(ge=2, description="problems on which the base model does worst, per pool")]

    @model_validator(mode="after")
    def _lengths_rise(self) -> Self:
        if self.length_groups != sorted(set(self.length_groups)):
            raise ValueError(f"length_groups: must rise, not {self.length_groups}")
        return self


class PlannedStage(Section):
    """All jobs of one stage, as `polaris plan` estimated them."""

    jobs: Count
    gpus: Annotated[int, Field(ge=0, description="reserved for one job")]
    hours: Annotated[tuple[float, float], Field(description="wall time of all jobs together, lowest and highest")]
    bytes: Annotated[float, Field(ge=0, description="that they publish")]


class Plan(Section):
    """The estimates that `polaris plan --keep` wrote before the run."""

    gpu: str
    stages: dict[str, PlannedStage]


class SoupPage(Section):
    """Averages of several distilled models with the base."""

    models: Annotated[list[str], Field(min_length=3, description="the base, then the distilled ones")]
    points: Annotated[dict[str, str], Field(description="shares as spelled in paths -> the model by them")]
    made: Annotated[list[str], Field(description="of these models, those that nothing else made")]
    selected: Annotated[str | None, Field(description="shares that the recipe selects, as spelled in paths")]


class ReportPage(Report):
    """What the rule adds to the recipe's section: the evaluated models and how they are related."""

    ladder: Annotated[list[str], Field(description="the small model's checkpoints, in the order of the flow")]
    generalists: Annotated[list[str], Field(description="the large base model and the distilled one; empty: none")]
    models: Annotated[list[str], Field(description="students of OPD, and models that the run did not make")]
    alphas: Annotated[dict[str, str], Field(description="alpha as spelled in paths -> the model at that alpha")]
    select_on: Annotated[
        list[str], Field(description="benchmarks on which alpha is chosen; all others are headline sets")
    ]
    selected: Annotated[str | None, Field(description="alpha that the recipe selects, as spelled in paths")]
    extra_evaluations: Annotated[
        dict[str, str], Field(description="<model>@<entry> -> settings that differ from all other evaluations")
    ]
    dates: Annotated[dict[str, str], Field(description="benchmark -> when it was published, where that is known")]
    model_dates: Annotated[dict[str, str], Field(description="model -> its date, where that is known")]
    self_distillation: Annotated[SelfDistillation | None, Field(description="the control; null: there is none")]
    soup: Annotated[
        SoupPage | None, Field(exclude_if=lambda soup: soup is None, description="null: no averages of several")
    ]
    published_values: Published | None
    planned: Annotated[Plan | None, Field(description="null: nothing was planned")]

    @property
    def compared(self) -> list[str]:
        """The models in the order of the flow, without merges, controls and extra evaluations."""
        return [*self.ladder, *self.generalists, *self.models]

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        if not self.compared:
            raise ValueError("ladder, generalists, models: one of them must name a model")
        return self
