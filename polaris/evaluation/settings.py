"""Settings of evaluations and their statistics, and published values."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from polaris.generation.settings import Engine, Generate
from polaris.grading.settings import Grading
from polaris.stage.settings import Section, Seed


class ExtraEvaluation(Generate):
    """Some checkpoints evaluated once more; what an entry does not name is as in `evaluate.generate`."""

    models: Annotated[list[str], Field(min_length=1, description="evaluated models")]

    @property
    def generate(self) -> Generate:
        return Generate(**self.model_dump(exclude={"models"}))

    def changes(self, usual: Generate) -> str:
        """Settings that differ from `usual`, in words: "sampling.seed 2 instead of 1"; empty where none does."""
        return "; ".join(_changed(self.generate.model_dump(mode="json"), usual.model_dump(mode="json")))


def _changed(new: dict[str, Any], old: dict[str, Any], within: str = "") -> Iterator[str]:
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            yield from _changed(value, before, f"{within}{key}.")
        elif value != before:
            yield f"{within}{key} {_word(value)} instead of {_word(before)}"


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return "none" if value is None else str(value)


class Evaluate(Section):
    """Every checkpoint on every benchmark."""

    generate: Annotated[Generate, Field(description="k: benchmark -> samples per problem")]
    large_engine: Annotated[Engine | None, Field(description="of generalists and merges; null: as of generate")]
    extra_evaluations: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], ExtraEvaluation],
        Field(default_factory=dict, description="entry -> models that are evaluated once more, as <model>@<entry>"),
    ]
    grading: Grading


class Resampling(Section):
    """How intervals and p-values are computed."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=200, description="bootstrap draws of questions, and permutations of a test")]
    seed: Seed


class Published(Section):
    """Values that a source prints for a recipe, in percent; only shown, never used in a computation."""

    source: str
    average_of: Annotated[
        list[str], Field(description="benchmarks of the values called average; empty: there are none")
    ]
    values: Annotated[
        dict[str, dict[str, Annotated[float, Field(ge=0, le=100)]]],
        Field(description="model -> benchmark or average -> value"),
    ]


class SelfDistillation(Section):
    """The generalist that was trained on its own traces, and its merges."""

    distilled: str
    alphas: Annotated[dict[str, str], Field(description="as the page's")]
