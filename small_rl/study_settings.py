"""Sections of the measurements beside the flow: the search for a temperature, and the probe."""

import itertools
from typing import Annotated

from pydantic import Field, model_validator

from polaris.evaluation.settings import Resampling
from polaris.generation.settings import Engine, Generate, Sampling, Temperature
from polaris.grading.settings import Grading
from polaris.stage.settings import Count, Fraction, Section, Seed

# Where CORE's sets may start beside the stages -> whether it is the placebo.
TEACHER_SETS = {"teacher": False, "teacher_placebo": True}


class TeacherSets(Section):
    """Consensus sets of a teacher (small_rl.data.build_teacher_sets)."""

    placebo: Annotated[bool, Field(description="each problem gets the set of another")]
    grading: Grading


class Reset(Section):
    """Step of a reset's grid, by the entropy that the stage before lost."""

    slight_fall: Annotated[Fraction, Field(description="share of the entropy; up to it the fine step suffices")]
    fine_step: Temperature
    wide_step: Temperature


class TemperatureChoice(Resampling):
    """From responses at several temperatures to one of them (small_rl.studies.search_temperature)."""

    grading: Grading
    tolerance: Annotated[Fraction, Field(description="accuracy that may be lost against the best temperature's")]
    collapse: Annotated[Fraction, Field(description="accuracy lost from which a temperature has collapsed")]
    reset: Annotated[Reset | None, Field(description="set diversity back to the last search's; null: the first choice")]

    @model_validator(mode="after")
    def _ordered(self) -> "TemperatureChoice":
        if self.collapse < self.tolerance:
            raise ValueError(f"collapse ({self.collapse}) must not be below tolerance ({self.tolerance})")
        return self


class TemperatureSearch(TemperatureChoice):
    """The choice and its responses: of one model to one problem set."""

    model: Annotated[str, Field(description="base_small, format_sft or an RL stage; for a reset the stage just ended")]
    problems: Annotated[str, Field(description="a set of inputs.problems")]
    after: Annotated[str | None, Field(description="for a reset: the earlier search whose temperature was used")]
    grid: Annotated[list[Temperature], Field(min_length=2, description="rising, two decimals at most")]
    k: Annotated[Count, Field(description="responses per problem and temperature")]
    instruction: str
    top_p: Annotated[float, Field(gt=0, le=1)]
    top_k: Annotated[int, Field(ge=-1)]
    max_tokens: Count
    sampling_seed: Seed
    engine: Engine

    @model_validator(mode="after")
    def _consistent(self) -> "TemperatureSearch":
        if any(b <= a for a, b in itertools.pairwise(self.grid)):
            raise ValueError("grid: temperatures must rise")
        if wrong := [t for t in self.grid if round(t, 2) != t]:
            raise ValueError(f"grid: {wrong[0]} has more than two decimals")
        if (self.after is None) != (self.reset is None):
            raise ValueError("`after` and `reset`: give both for a reset, null for both for the first choice")
        return self

    def at(self, temperature: float) -> Generate:
        """The settings of polaris.generation.generate for one temperature of the grid."""
        sampling = Sampling(
            temperature=temperature, top_p=self.top_p, top_k=self.top_k, max_tokens=self.max_tokens,
            seed=self.sampling_seed
        )  # fmt: skip
        return Generate(k={self.problems: self.k}, instruction=self.instruction, sampling=sampling, engine=self.engine)

    @property
    def choice(self) -> TemperatureChoice:
        """The settings of the stage itself."""
        return TemperatureChoice(**{name: getattr(self, name) for name in TemperatureChoice.model_fields})


class Judge(Section):
    """A model that scores two lists of intermediate results from 1 to 10, behind an OpenAI-compatible address."""

    address: Annotated[str, Field(pattern=r"^https?://[^@\s]+$", description="up to /v1; no user or key in it")]
    model: str
    key: Annotated[str | None, Field(description="environment variable that holds the key; null: none is sent")]
    pairs: Annotated[Count, Field(description="judged at most, of one problem and class")]
    max_tokens: Annotated[Count, Field(description="of one reply")]
    timeout: Annotated[float, Field(gt=0, description="seconds for one attempt")]
    retries: Annotated[int, Field(ge=0, le=10, description="further attempts of one question")]
    workers: Annotated[Count, Field(description="questions at once")]
    total_timeout: Annotated[float, Field(gt=0, description="seconds in all; pairs left then have no score")]


class ProbeChoice(Resampling):
    """Similarity of right and wrong trajectories (small_rl.studies.probe)."""

    grading: Grading
    judge: Annotated[Judge | None, Field(description="null: only the overlap is measured")]


class ProbeRollouts(Section):
    """Rollouts for the probe alone."""

    model: Annotated[str, Field(description="base_small, format_sft or an RL stage")]
    problems: Annotated[str, Field(description="a set of inputs.problems")]
    generate: Generate


class Probe(ProbeChoice):
    """The probe and its rollouts."""

    rollouts: Annotated[ProbeRollouts | None, Field(description="null: those of small_rl.data.difficulty")]

    @property
    def choice(self) -> ProbeChoice:
        """The settings of the stage itself."""
        return ProbeChoice(**{name: getattr(self, name) for name in ProbeChoice.model_fields})
