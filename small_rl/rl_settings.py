"""The recipe's section of one RL training."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from polaris.generation.settings import Engine, Temperature
from polaris.grading.settings import Grading
from polaris.models.dtypes import PRECISIONS
from polaris.stage.settings import Count, Fraction, Section, Seed
from small_rl.format_settings import LearningRate


class Core(Section):
    """The process reward of a wrong trajectory: min(cap, |P & s| / |s|) (V2 blog, 1. Process reward shaping)."""

    cap: Fraction
    min_support: Annotated[Count, Field(description="correct responses that must share a result")]
    results: Annotated[
        Literal["intermediate", "all"],
        Field(description="underlined results that count; intermediate: none that states the final answer"),
    ]
    key: Annotated[
        Literal["string", "structure"], Field(description="when two results are one: same text, same formula")
    ]
    scope: Annotated[Literal["response", "answer"], Field(description="where results are read; answer: after </think>")]
    update: Annotated[Literal["online", "frozen"], Field(description="online: the sets learn from correct responses")]
    denominator: Annotated[Literal["current", "start"], Field(description="start: |s| as the training found it")]
    guard: Annotated[Literal["none", "precision"], Field(description="precision: divide by at least |P|")]
    centre: Annotated[
        Literal["group"] | None, Field(description="group: a problem's wrong responses earn 0 on average (PROGRS)")
    ]
    max_hack_reward: Annotated[
        Fraction | None,
        Field(description="mean reward of a response made from the problem's text alone; above it nothing starts"),
    ]
    consensus: Annotated[
        str,
        Field(description="where the sets start: rl_data, an earlier RL stage with CORE, teacher or teacher_placebo"),
    ]


class Substitution(Section):
    """Groups with equal rewards make room for copies of the others (V1's scripts: `dyn_sampling_polaris`)."""

    min_informative: Annotated[Fraction, Field(description="share of groups with unequal rewards; with less, all stay")]


class SearchedTemperature(Section):
    """The temperature that a search has chosen (small_rl.studies.search_temperature)."""

    search: Annotated[str, Field(description="a key of temperature_search")]


class Overlong(Section):
    """What long responses pay (small_rl.reward.overlong)."""

    penalty: Annotated[
        float, Field(gt=0, le=1, description="off the reward of a response that reaches max_response_length")
    ]
    buffer: Annotated[
        int, Field(ge=0, description="tokens before max_response_length over which it rises from 0; 0: at once")
    ]


class Validation(Section):
    """The actor's answers to a benchmark while it is trained: a curve, and nothing else depends on it."""

    benchmark: Annotated[str, Field(description="one of inputs.benchmarks")]
    k: Annotated[Count, Field(description="responses to each of its problems")]
    every: Annotated[Count, Field(description="steps; before the first and after the last one, too")]


class Alarm(Section):
    """What the rollouts of each step are watched for (small_rl.rollouts.alarm): a warning, and nothing else changes."""

    first: Annotated[Count, Field(description="steps that are the norm")]
    last: Annotated[Count, Field(description="steps whose mean is compared with it")]
    share: Annotated[
        Fraction,
        Field(
            description="above the norm: share of the reward that wrong responses get, of the responses that are cut"
        ),
    ]
    factor: Annotated[float, Field(ge=1, description="times the norm: tokens, and underlined results of a response")]


class RlTraining(Section):
    """GRPO on verl (small_rl.training.train_rl). All lengths in tokens."""

    reward: Literal["outcome", "core"]
    core: Annotated[Core | None, Field(description="for reward: core")]
    rescue: Annotated[
        Literal[False, "own", "teacher"],
        Field(description="an unsolved problem borrows a right response: of an earlier step, or the teacher's"),
    ]
    substitution: Annotated[Substitution | None, Field(description="copies of informative groups; null: no")]
    steps: Count
    prompts_per_step: Count
    group_size: Annotated[int, Field(ge=2, description="responses per prompt")]
    updates_per_step: Annotated[Count, Field(description="optimizer steps per batch of rollouts")]
    loss_aggregation: Annotated[
        Literal["token-mean", "token-sum", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm"],
        Field(description="verl's names; -norm divides by max_response_length (Dr. GRPO)"),
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
    max_prompt_length: Count
    max_response_length: Count
    context: Annotated[
        Count | None, Field(description="positions that the trained model has at least; null: as the start model")
    ]
    learning_rate: LearningRate
    betas: tuple[Fraction, Fraction]
    weight_decay: Annotated[float, Field(ge=0)]
    clip_ratio_low: Fraction
    clip_ratio_high: Annotated[float, Field(ge=0, le=10)]
    grad_clip: Annotated[float, Field(gt=0)]
    precision: Annotated[Literal["fp32", "fp16", "bf16"], Field(description="of actor and rollouts")]
    max_tokens_per_gpu: Annotated[Count, Field(description="padded tokens of one forward/backward pass of a rank")]
    save_every: Annotated[Count, Field(description="steps between resumable checkpoints")]
    rollout_store: Annotated[
        Literal["all"] | Count | None,
        Field(description="rollouts kept in log/rollouts: all, so many whole groups of each step, or null: none"),
    ]
    alarm: Annotated[
        Alarm | None, Field(description="a warning where the rollouts change as known hacks do; null: none")
    ]
    loggers: Annotated[
        list[Literal["wandb", "swanlab", "mlflow"]] | None,
        Field(description="of verl, beside metrics.jsonl; offline unless the environment says otherwise"),
    ]
    nodes: Count
    gpus_per_node: Annotated[Count, Field(description="processes (GPUs) per node")]
    engine: Engine
    grading: Grading
    timeout: Annotated[float, Field(gt=0, description="seconds for one launch; a hang becomes an error")]
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
        if self.max_prompt_length + self.max_response_length > self.engine.max_model_len:
            raise ValueError(
                f"max_prompt_length + max_response_length ({self.max_prompt_length} + {self.max_response_length}) "
                f"must fit into engine.max_model_len ({self.engine.max_model_len})"
            )
        if isinstance(self.truncation, Overlong) and self.truncation.buffer > self.max_response_length:
            raise ValueError(
                f"truncation.buffer ({self.truncation.buffer}) must not exceed max_response_length "
                f"({self.max_response_length})"
            )
        if self.context is not None and (self.engine.yarn or self.context < self.engine.max_model_len):
            raise ValueError(
                f"context ({self.context}) must hold engine.max_model_len ({self.engine.max_model_len}), and be null "
                "with engine.yarn, whose factor * original it is then"
            )
        if self.engine.replicas != 1:
            raise ValueError("engine.replicas must be 1 here: RL has an engine for each tensor_parallel_size ranks")
        for key in ("pipeline_parallel_size", "nodes"):
            if getattr(self.engine, key) != 1:
                raise ValueError(f"engine.{key} must be 1 here: verl's engines have tensor parallel ranks of one node")
        if self.engine.kv_cache_dtype != "auto":
            raise ValueError(
                f"engine.kv_cache_dtype ({self.engine.kv_cache_dtype}) must be auto here: rollouts with rounded keys "
                "and values are off-policy"
            )
        if self.engine.dtype != PRECISIONS[self.precision]:
            raise ValueError(
                f"engine.dtype ({self.engine.dtype}) must be {PRECISIONS[self.precision]} for precision "
                f"{self.precision}: rollouts in another precision than the actor's are off-policy"
            )
        return self

    @property
    def all_nodes(self) -> int:
        """Nodes of the stage's job, whatever for."""
        return self.nodes

    @property
    def all_gpus_per_node(self) -> int:
        """GPUs of a node that the stage takes, whatever for."""
        return self.gpus_per_node
