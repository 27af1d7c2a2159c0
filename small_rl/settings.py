"""The recipe's section of the specialist: format SFT, RL data, RL stages."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from polaris.sections import Generate, Grading
from polaris.settings import Count, Engine, Fraction, Section, Seed, Temperature
from small_rl.format_settings import FormatData, FormatSft, LearningRate
from small_rl.study_settings import TEACHER_SETS, Probe, TemperatureSearch

ROLLOUT_DTYPE = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


class RlData(Section):
    """Difficulty filter and offline consensus sets (small_rl.build_rl_data)."""

    drop_above: Annotated[Fraction, Field(description="accuracy above which a problem is too easy")]
    drop_unsolved: Annotated[bool, Field(description="drop problems that no rollout solved")]
    consensus: Annotated[
        Literal["rollouts", "teacher"], Field(description="whose correct answers make the offline consensus sets")
    ]
    grading: Grading


class OverlapFilter(Section):
    """Keep the problems whose wrong answers share steps with right ones (small_rl.filter_overlap)."""

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
    """The filter and the rollouts that it looks at, by the model that the RL stage starts from."""

    generate: Generate


class DropEasy(Section):
    """Leave out the problems that an earlier RL stage already solves (small_rl.drop_easy_data)."""

    rule: Annotated[Literal["mean", "last"], Field(description="accuracy over all visits of the stage, or of the last")]
    above: Annotated[Fraction, Field(description="accuracy above which a problem is left out")]


class DropEasyOf(DropEasy):
    """The rule, and the earlier RL stage whose data it takes and whose accuracy log it reads."""

    log: str


class Core(Section):
    """The process reward of a wrong trajectory: min(cap, |P & s| / |s|) (V2 blog, 1. Process reward shaping)."""

    cap: Fraction
    min_support: Annotated[Count, Field(description="correct responses that must share a step")]
    drop_answer: Annotated[bool, Field(description="leave out steps equal to the final answer")]
    key: Annotated[Literal["string", "structure"], Field(description="when two steps are one: same text, same formula")]
    scope: Annotated[Literal["response", "answer"], Field(description="where steps are read; answer: after </think>")]
    update: Annotated[Literal["online", "frozen"], Field(description="online: the sets learn from correct responses")]
    denominator: Annotated[Literal["current", "start"], Field(description="start: |s| as the training found it")]
    guard: Annotated[Literal["none", "precision"], Field(description="precision: divide by at least |P|")]
    consensus: Annotated[
        str,
        Field(description="where the sets start: rl_data, an earlier RL stage with CORE, teacher or teacher_placebo"),
    ]


class Substitution(Section):
    """Groups with equal rewards make room for copies of the others (V1's scripts: `dyn_sampling_polaris`)."""

    min_informative: Annotated[Fraction, Field(description="share of groups with unequal rewards; with less, all stay")]


class SearchedTemperature(Section):
    """The temperature that a search has chosen (small_rl.search_temperature)."""

    search: Annotated[str, Field(description="a key of temperature_search")]


class Overlong(Section):
    """What long responses pay (small_rl.overlong)."""

    penalty: Annotated[float, Field(gt=0, le=1, description="off the reward of a response that reaches max_response")]
    buffer: Annotated[int, Field(ge=0, description="tokens before max_response over which it rises from 0; 0: at once")]


class Validation(Section):
    """The actor's answers to a benchmark while it is trained: a curve, and nothing else depends on it."""

    benchmark: Annotated[str, Field(description="one of inputs.benchmarks")]
    k: Annotated[Count, Field(description="responses to each of its problems")]
    every: Annotated[Count, Field(description="steps; before the first and after the last one, too")]


class RlTraining(Section):
    """GRPO on verl (small_rl.train_rl). All lengths in tokens."""

    reward: Literal["outcome", "core"]
    core: Annotated[Core | None, Field(description="for reward: core")]
    rescue: Annotated[bool, Field(description="an unsolved problem borrows its right response of an earlier step")]
    substitution: Annotated[Substitution | None, Field(description="copies of informative groups; null: no")]
    steps: Count
    prompts_per_step: Count
    rollouts: Annotated[int, Field(ge=2, description="responses per prompt")]
    updates_per_step: Annotated[Count, Field(description="optimizer steps per batch of rollouts")]
    loss_aggregation: Annotated[
        Literal["token-mean", "token-sum", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm"],
        Field(description="verl's names; -norm divides by max_response (Dr. GRPO)"),
    ]
    std_normalization: Annotated[
        bool, Field(description="advantages by their group's standard deviation; Dr. GRPO: no")
    ]
    truncation: Annotated[
        Annotated[Literal["none", "mask"], Tag("<word>")] | Annotated[Overlong, Tag("<penalty>")],
        Discriminator(lambda value: "<penalty>" if isinstance(value, dict | Overlong) else "<word>"),
        Field(description="mask: responses that were cut carry no loss; or a penalty"),
    ]
    # An alias, since pydantic's models have a method `validate`.
    validation: Annotated[
        Validation | None, Field(alias="validate", description="evaluations during the training; null: none")
    ]
    instruction: str
    temperature: Annotated[
        Annotated[Temperature, Tag("<number>")] | Annotated[SearchedTemperature, Tag("<search>")],
        Discriminator(lambda value: "<search>" if isinstance(value, dict | SearchedTemperature) else "<number>"),
    ]
    top_p: Annotated[float, Field(gt=0, le=1)]
    top_k: Annotated[int, Field(ge=-1)]
    max_prompt: Count
    max_response: Count
    context: Annotated[
        Count | None, Field(description="positions that the trained model has at least; null: as the start model")
    ]
    learning_rate: LearningRate
    betas: tuple[Fraction, Fraction]
    weight_decay: Annotated[float, Field(ge=0)]
    clip_low: Fraction
    clip_high: Annotated[float, Field(ge=0, le=10)]
    grad_clip: Annotated[float, Field(gt=0)]
    precision: Annotated[Literal["fp32", "fp16", "bf16"], Field(description="of actor and rollouts")]
    micro_tokens: Annotated[Count, Field(description="padded tokens of one forward/backward pass of a rank")]
    save_every: Annotated[Count, Field(description="steps between resumable checkpoints")]
    nodes: Count
    ranks: Annotated[Count, Field(description="processes (GPUs) per node")]
    engine: Engine
    grading: Grading
    limit: Annotated[float, Field(gt=0, description="seconds for one launch; a hang becomes an error")]
    seed: Seed

    @model_validator(mode="after")
    def _consistent(self) -> "RlTraining":
        if (self.reward == "core") != (self.core is not None):
            raise ValueError("`core` must be given for `reward: core`, and be null for `reward: outcome`")
        if self.prompts_per_step % self.updates_per_step:
            raise ValueError(
                f"prompts_per_step ({self.prompts_per_step}) must be a multiple of updates_per_step "
                f"({self.updates_per_step})"
            )
        if self.max_prompt + self.max_response > self.engine.max_model_len:
            raise ValueError(
                f"max_prompt + max_response ({self.max_prompt} + {self.max_response}) must fit into "
                f"engine.max_model_len ({self.engine.max_model_len})"
            )
        if isinstance(self.truncation, Overlong) and self.truncation.buffer > self.max_response:
            raise ValueError(
                f"truncation.buffer ({self.truncation.buffer}) must not exceed max_response ({self.max_response})"
            )
        if self.context is not None and (self.engine.yarn or self.context < self.engine.max_model_len):
            raise ValueError(
                f"context ({self.context}) must hold engine.max_model_len ({self.engine.max_model_len}), and be null "
                "with engine.yarn, whose factor * original it is then"
            )
        if self.engine.replicas != 1:
            raise ValueError("engine.replicas must be 1 here: RL has an engine for each tensor_parallel ranks")
        if self.engine.dtype != ROLLOUT_DTYPE[self.precision]:
            raise ValueError(
                f"engine.dtype ({self.engine.dtype}) must be {ROLLOUT_DTYPE[self.precision]} for precision "
                f"{self.precision}: rollouts in another precision than the actor's are off-policy"
            )
        return self


class RlStage(RlTraining):
    """One RL stage of the recipe: where it starts, on which data, and its training."""

    start: Annotated[str, Field(description="format_sft, base_small or an earlier RL stage")]
    drop_easy: Annotated[
        DropEasyOf | None, Field(description="an earlier stage's data without what it solves; null: no")
    ]
    overlap: Annotated[Overlap | None, Field(description="filter the RL data with the start model first; null: no")]


class SmallRl(Section):
    """From the small base model to the specialist."""

    teacher: Annotated[Generate | None, Field(description="asks inputs.teacher for answers; null: the sets' solutions")]
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

    @property
    def starts(self) -> list[str]:
        """Models that are there before RL."""
        return ["base_small", "format_sft"] if self.format_sft else ["base_small"]

    @model_validator(mode="after")
    def _format_is_whole(self) -> "SmallRl":
        if (self.format_data is None) != (self.format_sft is None):
            raise ValueError("format_data and format_sft: give both, or null for both")
        if self.difficulty_model not in self.starts:
            raise ValueError("difficulty_model: format_sft, but there is none (format_sft: null)")
        return self

    @model_validator(mode="after")
    def _stages_in_order(self) -> "SmallRl":
        earlier: list[str] = []
        for name, stage in self.rl.items():
            _check_name(name)
            possible = [*self.starts, *earlier]
            if stage.start not in possible:
                known = "is a later stage" if stage.start in self.rl else "does not exist"
                raise ValueError(f"rl.{name}.start: {stage.start} {known}; possible: {' '.join(possible)}")
            if isinstance(stage.temperature, SearchedTemperature):
                searches = [key for key, search in self.temperature_search.items() if search.model in possible]
                if stage.temperature.search not in searches:
                    raise ValueError(
                        f"rl.{name}.temperature.search: {stage.temperature.search} is no search of temperature_search with "
                        f"a model that is there before this stage; possible: {' '.join(searches) or 'none'}"
                    )
            sources = ["rl_data", *TEACHER_SETS, *(n for n in earlier if self.rl[n].core)]
            if stage.core and stage.core.consensus not in sources:
                raise ValueError(
                    f"rl.{name}.core.consensus: {stage.core.consensus} has no consensus sets; possible: {' '.join(sources)}"
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
        """Those of TEACHER_SETS that a stage starts from."""
        asked = {stage.core.consensus for stage in self.rl.values() if stage.core}
        return [name for name in TEACHER_SETS if name in asked]

    @property
    def studied(self) -> list[str]:
        """Problem sets of the temperature searches and of the probe."""
        probed = [self.probe.rollouts.problems] if self.probe and self.probe.rollouts else []
        return [*(search.problems for search in self.temperature_search.values()), *probed]


RESERVED = {
    "base_small", "base_large", "teacher_model", "format_data", "format_sft", "difficulty", "rl_data", "traces", "sft_data", "conversion",
    "distilled", "merged", "report", "responses", "scores", "problems", "clean", "benchmarks", "teacher", "teacher_rl",
    "consensus", "teacher_placebo", "teacher_sets", "teacher_placebo_sets", "temperature", "probe", "probe_rollouts",
    "traces_self", "sft_data_self", "distilled_self", "merged_self",
}  # fmt: skip


def _check_name(name: str) -> None:
    """RL stages are folders and rules: letters, digits, underscores, and no name of another stage."""
    if not name.isidentifier() or name in RESERVED:
        raise ValueError(f"rl.{name}: choose another name for this stage (an identifier, none of the other stages')")
