"""The recipe's section of the merge: theta = alpha * base + (1 - alpha) * distilled; a soup of several distilled."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from merge.alpha import Shares, of_alpha, spelled, spelled_shares
from polaris.stage.settings import Count, Section


def _with_a_name(alpha: float) -> float:
    """An alpha is part of paths: it must have a spelling. Raises ValueError."""
    spelled(alpha)
    return alpha


def _sum_to_one(shares: Shares) -> Shares:
    """Raises ValueError."""
    spelled_shares(shares)
    return shares


Alpha = Annotated[float, Field(ge=0, le=1), AfterValidator(_with_a_name)]
OneOfSeveral = Annotated[tuple[float, ...], AfterValidator(_sum_to_one)]


class MergekitMethod(Section):
    """A method of mergekit and its parameters; the texts `alpha` and `1 - alpha` stand for the numbers."""

    method: str
    parameters: Annotated[dict[str, Any], Field(description="of the whole merge")]
    base: Annotated[dict[str, Any], Field(description="parameters of the base")]
    distilled: Annotated[
        dict[str, Any], Field(description="parameters of a distilled model; 1 - alpha is its share, also in a soup")
    ]


class Merging(Section):
    """How a merge is made, at whichever alpha."""

    backend: Annotated[Literal["stream", "mergekit"], Field(description="stream: ours; mergekit: another program's")]
    mergekit: Annotated[MergekitMethod | None, Field(description="null: its linear merge, the same formula as ours")]
    dtype: Annotated[Literal["bfloat16", "float16", "float32"] | None, Field(description="of the result; null: base's")]
    tokenizer: Annotated[
        Literal["same", "base", "distilled"],
        Field(description="whose tokenizer and chat template (of several the first's); same: refuse others"),
    ]
    threads: Annotated[Count, Field(description="shards merged at once")]
    o_direct: Annotated[bool, Field(description="O_DIRECT: past the page cache, in and out; network file systems vary")]
    sha256: Annotated[bool, Field(description="this digest of every file in the manifest, besides xxh3")]

    @model_validator(mode="after")
    def _method_needs_its_program(self) -> Self:
        if self.mergekit and self.backend != "mergekit":
            raise ValueError("mergekit: this method needs backend: mergekit")
        return self


class Merge(Merging):
    """The sweep: which alphas, and what stays of them (merge.merge_models, merge.merged_weights)."""

    alphas: Annotated[list[Alpha], Field(min_length=1)]
    select_on: Annotated[
        list[str], Field(description="benchmarks on which alpha is selected; they are no headline sets. Empty: none is")
    ]
    after: Annotated[
        list[str],
        Field(
            default_factory=list,
            description="stages of `opd` whose models are merged with the base, too: a sweep of its own for each",
        ),
    ]
    keep: Annotated[
        Literal["all", "selected", "none"],
        Field(
            description="selected: the others' weights are removed once they are evaluated; results stay. none: no "
            "weights are written, the evaluating engine averages while it loads"
        ),
    ]
    selected: Annotated[Alpha | None, Field(description="chosen on a selection split (merge.refine); null: none yet")]

    @field_validator("alphas")
    @classmethod
    def _spelled_once(cls, alphas: list[float]) -> list[float]:
        names = [spelled(alpha) for alpha in alphas]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"alpha {twice[0]} occurs twice")
        return alphas

    @model_validator(mode="after")
    def _unwritten_is_evaluated_only(self) -> Self:
        if self.keep == "none" and self.backend != "stream":
            raise ValueError("keep: none needs backend: stream, which alone can average while an engine loads")
        return self

    @model_validator(mode="after")
    def _selected_is_merged(self) -> Self:
        if self.selected is not None and self.selected not in self.alphas:
            raise ValueError(f"selected: {spelled(self.selected)} is none of the alphas")
        return self


class MergeOne(Merging):
    """What one merge needs to know; the other alphas of the sweep are none of its business."""

    alpha: Annotated[
        Annotated[Alpha, Field(gt=0, lt=1)] | None,
        Field(exclude_if=lambda alpha: alpha is None, description="of base and distilled model"),
    ]
    several: Annotated[
        OneOfSeveral | None,
        Field(
            exclude_if=lambda several: several is None,
            min_length=3,
            description="instead of alpha: shares of the base and of each distilled model",
        ),
    ]

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.alpha is None) == (self.several is None):
            raise ValueError("alpha: give it, or `several` where more than two models are averaged")
        return self

    @property
    def shares(self) -> Shares:
        """Of the base and of each distilled model."""
        return self.several or of_alpha(self.alpha or 0.0)

    @property
    def parts(self) -> dict[str, Any]:
        """As a manifest's metrics hold it."""
        return self.model_dump(include={"alpha", "several"}, mode="json")
