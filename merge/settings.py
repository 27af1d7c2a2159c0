"""The recipe's section of the merge: theta = alpha * base + (1 - alpha) * distilled; a soup of several distilled."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from merge.alpha import SOUP, Shares, of_alpha, shown, spelled, spelled_shares
from merge.grid import points_of, simplex
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
MOST = 500  # merges of a grid, each of them evaluated: more is a slip of the step
OneOfSeveral = Annotated[tuple[float, ...], AfterValidator(_sum_to_one)]


class MergekitMethod(Section):
    """A method of mergekit and its parameters; the texts `alpha` and `1 - alpha` stand for the numbers."""

    method: str
    parameters: Annotated[dict[str, Any], Field(description="of the whole merge")]
    base: Annotated[dict[str, Any], Field(description="parameters of the base")]
    distilled: Annotated[
        dict[str, Any], Field(description="parameters of a distilled model; 1 - alpha is its share, also in a soup")
    ]

    @property
    def uses_alpha(self) -> bool:
        """Whether what it makes depends on alpha at all: ram does not."""
        return any(map(_says_alpha, (self.parameters, self.base, self.distilled)))


def _says_alpha(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_says_alpha, value.values() if isinstance(value, dict) else value))
    return value in ("alpha", "1 - alpha")


class Soup(Section):
    """Weighted averages of the base and several distilled models (a model soup): a grid over their shares, and more."""

    models: Annotated[
        list[str],
        Field(min_length=2, description="distilled, students of OPD, inputs.models: of base_large's shape"),
    ]
    step: Annotated[
        float | None,
        Field(gt=0, le=1, description="of the grid over the shares of base_large and `models`; null: `points` alone"),
    ]
    points: Annotated[
        list[OneOfSeveral],
        Field(default_factory=list, description="further shares: of base_large, then of each of `models`"),
    ]
    mergekit: Annotated[
        MergekitMethod | None,
        Field(description="this method of mergekit, whatever `merge.backend` is; null: the average"),
    ]
    selected: Annotated[OneOfSeveral | None, Field(description="chosen on a selection split; null: none yet")]

    @model_validator(mode="after")
    def _has_points(self) -> Self:
        if twice := next((name for name in self.models if self.models.count(name) > 1), None):
            raise ValueError(f"models: {twice} occurs twice")
        models = len(self.models) + 1
        if self.step is not None:
            parts = round(1 / self.step)
            if round(parts * self.step, 6) != 1:
                raise ValueError(f"step: {self.step:g} does not divide 1; give 0.5, 0.25, 0.2, 0.125, 0.1")
            if points_of(parts, models) > MOST:
                raise ValueError(
                    f"step: {self.step:g} makes {points_of(parts, models):,} merges of {models} models, each evaluated "
                    f"(at most {MOST}); give a larger one, and look closer around the best (merge.refine --soup)"
                )
        given = [*self.points, *([self.selected] if self.selected else [])]
        if odd := next((one for one in given if len(one) != models), None):
            raise ValueError(
                f"points: {shown(odd)} has {len(odd)} shares, for base_large and {len(self.models)} models"
            )
        if not self.shares:
            raise ValueError("points: there is none, and no step of a grid")
        if self.mergekit and not self.mergekit.uses_alpha and len(self.shares) > 1:
            raise ValueError(
                f"mergekit: {self.mergekit.method} as it is written here depends on no share, and all "
                f"{len(self.shares)} points would be the same model; give step: null and one of `points`"
            )
        if self.selected is not None and self.selected not in self.shares:
            raise ValueError(f"selected: {shown(self.selected)} is none of the points")
        return self

    @property
    def shares(self) -> list[Shares]:
        """The grid's and the further points, each once."""
        grid = simplex(round(1 / self.step), len(self.models) + 1) if self.step else ()
        return list(dict.fromkeys([*grid, *self.points]))

    def named(self, alphas: Mapping[str, str]) -> dict[str, str]:
        """Shares as spelled in paths -> the model by them: one of the averaged where it has all, one of the sweep over
        `distilled` (alphas: alpha -> model) where that has it, else one of this soup.
        """
        found = {}
        for text in map(spelled_shares, self.shares):
            name = SOUP + text
            parts = {one: share for one, share in self.parts(name).items() if share}
            if len(parts) == 1:
                (name,) = parts
            elif parts.keys() == {"base_large", "distilled"} and not self.mergekit:
                name = alphas.get(spelled(parts["base_large"]), name)
            found[text] = name
        return found

    def parts(self, name: str) -> dict[str, float]:
        """What a model of this soup averages -> its share: the base, whatever its share, and those that have one."""
        shares = map(float, name.removeprefix(SOUP).split("_"))
        given = dict(zip(["base_large", *self.models], shares, strict=True))
        return {one: share for one, share in given.items() if share or one == "base_large"}


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
    soup: Annotated[Soup | None, Field(description="averages of several distilled models; null: of `distilled` alone")]

    @field_validator("alphas")
    @classmethod
    def _spelled_once(cls, alphas: list[float]) -> list[float]:
        names = [spelled(alpha) for alpha in alphas]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"alpha {twice[0]} occurs twice")
        return alphas

    @model_validator(mode="after")
    def _unwritten_is_evaluated_only(self) -> Self:
        if self.keep == "none" and (self.backend != "stream" or (self.soup and self.soup.mergekit)):
            raise ValueError("keep: none needs backend: stream, which alone can average while an engine loads")
        return self

    @model_validator(mode="after")
    def _selected_is_merged(self) -> Self:
        if self.selected is not None and self.selected not in self.alphas:
            raise ValueError(f"selected: {spelled(self.selected)} is none of the alphas")
        return self

    def one(self, shares: Shares, soup: bool) -> "MergeOne":
        """The settings of the merge by these shares, of base and at least one distilled model; soup: of `soup`."""
        own = {name: getattr(self, name) for name in Merging.model_fields}
        if soup and self.soup and self.soup.mergekit:
            own |= {"backend": "mergekit", "mergekit": self.soup.mergekit}
        return MergeOne(**own, alpha=shares[0] if len(shares) == 2 else None, several=shares if shares[2:] else None)


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
