"""The recipe's section of the specialist: format SFT, RL data, RL stages in order."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, model_validator

from polaris.generation.settings import Generate
from polaris.grading.settings import Grading
from polaris.stage.settings import Fraction, Section
from small_rl.format_settings import FormatData, FormatSft
from small_rl.rl_settings import RlTraining, SearchedTemperature
from small_rl.study_settings import TEACHER_SETS, Probe, TemperatureSearch


class RlData(Section):
    """Difficulty filter and offline consensus sets (small_rl.data.build_rl_data)."""

    drop_above: Annotated[Fraction, Field(description="accuracy above which a problem is too easy")]
    drop_unsolved: Annotated[bool, Field(description="drop problems that no rollout solved")]
    consensus: Annotated[
        Literal["rollouts", "teacher"], Field(description="whose correct answers make the offline consensus sets")
    ]
    grading: Grading


class OverlapFilter(Section):
    """Keep the problems whose wrong answers share results with right ones (small_rl.data.filter_overlap)."""

    grading: Grading
    keep: Annotated[
        Literal["median", "lower_half", "threshold"],
        Field(description="median: the half with more overlap (low difference); lower_half: the other one, a control"),
    ]
    threshold: Annotated[Fraction | None, Field(description="lowest mean Jaccard overlap kept, for keep: threshold")]
    within: Annotated[
        Literal["all", "accuracy"],
        Field(description="accuracy: halves of the problems with as many right answers, equally difficult ones"),
    ]
    without_pair: Annotated[Literal["drop", "keep"], Field(description="problems that are all right or all wrong")]

    @model_validator(mode="after")
    def _threshold_given(self) -> "OverlapFilter":
        if (self.keep == "threshold") != (self.threshold is not None):
            raise ValueError("`threshold` must be a number for `keep: threshold`, and null for the others")
        if self.within == "accuracy" and self.keep == "threshold":
            raise ValueError("`within: accuracy` is about halves: it needs `keep: median` or `keep: lower_half`")
        return self


class Overlap(OverlapFilter):
    """The filter and its rollouts, by the model that the RL stage starts from."""

    generate: Generate


class DropEasy(Section):
    """Leave out the problems that an earlier RL stage already solves (small_rl.data.drop_easy_data)."""

    rule: Annotated[Literal["mean", "last"], Field(description="accuracy over all visits of the stage, or of the last")]
    above: Annotated[Fraction, Field(description="accuracy above which a problem is left out")]


class DropEasyOf(DropEasy):
    """The rule, and the earlier RL stage whose data and accuracy log it reads."""

    log: str


class RlStage(RlTraining):
    """One RL stage of the recipe: where it starts, on which data, and its training."""

    start: Annotated[str, Field(description="format_sft, base_small or an earlier RL stage")]
    drop_easy: Annotated[
        DropEasyOf | None, Field(description="an earlier stage's data without what it solves; null: no")
    ]
    overlap: Annotated[Overlap | None, Field(description="filter the RL data with the start model first; null: no")]


class SmallRl(Section):
    """From the small base model to the specialist."""

    teacher: Annotated[
        Generate | None, Field(description="answers of inputs.teacher; null: the problem sets' solutions")
    ]
    format_data: Annotated[FormatData | None, Field(description="null, with format_sft: RL starts from base_small")]
    format_sft: FormatSft | None
    difficulty: Annotated[Generate, Field(description="rollouts of the model named by difficulty_model")]
    difficulty_model: Literal["base_small", "format_sft"]
    rl_data: RlData
    rl: Annotated[
        dict[str, RlStage], Field(min_length=1, description="in order; a stage may start from an earlier one")
    ]
    specialist: Annotated[str | None, Field(description="the RL stage whose traces teach the generalist; null: none")]
    temperature_search: Annotated[dict[str, TemperatureSearch], Field(description="in order; {}: none")]
    probe: Annotated[Probe | None, Field(description="similarity of right and wrong trajectories; null: none")]
    teacher_sft: Annotated[
        FormatSft | None,
        Field(description="control: format_sft learns the teacher's answers to the RL problems; null: none"),
    ]

    @property
    def starts(self) -> list[str]:
        """Models that exist before RL."""
        return ["base_small", "format_sft"] if self.format_sft else ["base_small"]

    @model_validator(mode="after")
    def _format_is_whole(self) -> "SmallRl":
        if (self.format_data is None) != (self.format_sft is None):
            raise ValueError("format_data and format_sft: give both, or null for both")
        if self.difficulty_model not in self.starts:
            raise ValueError("difficulty_model: format_sft, but there is none (format_sft: null)")
        if self.teacher_sft and not self.format_sft:
            raise ValueError("teacher_sft: it starts from format_sft, but there is none (format_sft: null)")
        return self

    @model_validator(mode="after")
    def _stages_in_order(self) -> "SmallRl":
        earlier: list[str] = []
        for name, stage in self.rl.items():
            _check_name(name, self.rl)
            possible = [*self.starts, *earlier]
            if stage.start not in possible:
                known = "is a later stage" if stage.start in self.rl else "does not exist"
                raise ValueError(f"rl.{name}.start: {stage.start} {known}; possible: {' '.join(possible)}")
            if isinstance(stage.temperature, SearchedTemperature):
                searches = [key for key, search in self.temperature_search.items() if search.model in possible]
                if stage.temperature.search not in searches:
                    raise ValueError(
                        f"rl.{name}.temperature.search: {stage.temperature.search} is no search of temperature_search "
                        f"with a model that exists before this stage; possible: {' '.join(searches) or 'none'}"
                    )
            sources = ["rl_data", *TEACHER_SETS, *(n for n in earlier if self.rl[n].core)]
            if stage.core and stage.core.consensus not in sources:
                raise ValueError(
                    f"rl.{name}.core.consensus: {stage.core.consensus} has no consensus sets; possible: "
                    f"{' '.join(sources)}"
                )
            if stage.drop_easy and stage.drop_easy.log not in earlier:
                known = " ".join(earlier) or "none"
                raise ValueError(
                    f"rl.{name}.drop_easy.log: {stage.drop_easy.log} is no earlier RL stage; possible: {known}"
                )
            earlier.append(name)
        if self.specialist is not None and self.specialist not in self.rl:
            raise ValueError(f"specialist: {self.specialist} is no RL stage; possible: {' '.join(self.rl)}")
        return self

    @model_validator(mode="after")
    def _studies_name_what_exists(self) -> "SmallRl":
        models = {f"temperature_search.{name}": search.model for name, search in self.temperature_search.items()}
        if self.probe and self.probe.rollouts:
            models["probe.rollouts"] = self.probe.rollouts.model
        possible = [*self.starts, *self.rl]
        for where, model in models.items():
            if model not in possible:
                raise ValueError(f"{where}.model: {model} is no model of this part; possible: {' '.join(possible)}")
        earlier: list[str] = []
        for name, search in self.temperature_search.items():
            where = f"temperature_search.{name}"
            if not name.isidentifier():
                raise ValueError(f"{where}: choose another name for this search (an identifier)")
            if search.after and search.after not in earlier:
                raise ValueError(f"{where}.after: {search.after} is no earlier search; possible: {' '.join(earlier)}")
            if search.after and search.model not in self.rl:
                raise ValueError(f"{where}.model: {search.model} is no RL stage, after which diversity is set back")
            earlier.append(name)
        return self

    @property
    def teacher_sets(self) -> list[str]:
        """Names of TEACHER_SETS that a stage starts from."""
        used = {stage.core.consensus for stage in self.rl.values() if stage.core}
        return [name for name in TEACHER_SETS if name in used]

    @property
    def teacher_answers(self) -> bool:
        """Whether a stage trains on the teacher's answers themselves."""
        return self.teacher_sft is not None or any(stage.rescue == "teacher" for stage in self.rl.values())

    @property
    def studied(self) -> list[str]:
        """Problem sets of the temperature searches and of the probe."""
        probed = [self.probe.rollouts.problems] if self.probe and self.probe.rollouts else []
        return [*(search.problems for search in self.temperature_search.values()), *probed]


# Folders of a run that an RL stage must not take: those of all other rules, and of the generalist's arms with their
# suffix (compared by tests/unit/small_rl/test_settings.py). The folders of a stage's own data end in BESIDE.
FOLDERS = {
    "base_small", "base_large", "models", "teacher_model", "problems", "benchmarks", "clean", "format_data",
    "format_sft", "difficulty", "rl_data", "teacher", "teacher_rl", "teacher_answers", "teacher_sft", "consensus",
    "temperature", "probe", "probe_rollouts", "conversion", "conversion_reference", "traces", "sft_data", "distilled",
    "paid", "merged", "traces_self", "sft_data_self", "distilled_self", "merged_self", "responses", "scores", "report",
}  # fmt: skip
BESIDE = ("_drop_easy", "_rollouts", "_data")


def _check_name(name: str, stages: Collection[str]) -> None:
    """Raises ValueError unless the name of an RL stage is an identifier and a folder of its own."""
    taken = FOLDERS | set(TEACHER_SETS) | {f"{stage}{suffix}" for stage in stages for suffix in BESIDE}
    if not name.isidentifier() or name in taken or any(f"{name}{suffix}" in FOLDERS for suffix in BESIDE):
        raise ValueError(
            f"rl.{name}: choose another name for this stage: an identifier that is no folder of another stage"
        )
