"""The recipe's shared sections: inputs, generation, evaluation and the report."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from polaris.grading.answers import Grader
from polaris.problems.problem_layouts import Gold
from polaris.problems.suitability import Rule
from polaris.stage.settings import Count, Engine, Fraction, Sampling, Section, Seed

UNPINNED = "unpinned"
Revision = Annotated[str, Field(pattern=r"^(unpinned|[0-9a-f]{40})$", description="commit, set by `polaris pin`")]


# --- inputs: models ---------------------------------------------------------------------------------------------
class HubModel(Section):
    """A model from the Hugging Face hub (or its local cache), at a pinned revision."""

    hub: str
    revision: Revision


class LocalModel(Section):
    """A model directory in Hugging Face layout, safetensors only."""

    path: Path


class Pretraining(Section):
    """Brief pre-training of a tiny model on worked solutions, so that there is something to improve."""

    families: Annotated[dict[str, Fraction], Field(description="problem family -> share of the examples")]
    depth: Annotated[tuple[Count, Count], Field(description="number of operations of a problem, lowest and highest")]
    steps: Count
    batch: Annotated[Count, Field(description="examples per step")]
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    slips: Annotated[Fraction, Field(description="chance that a worked step goes wrong")]
    underlined: Annotated[Fraction, Field(description="share of the solutions with underlined results")]
    instruction: Annotated[str, Field(description="appended to the problem's text in every second example")]


class TinyModel(Section):
    """A Qwen3 or Qwen3-MoE made and pre-trained here: for laptops and tests."""

    tiny: Literal["qwen3", "qwen3_moe"]
    hidden: Annotated[int, Field(ge=32, multiple_of=16)]
    layers: Count
    heads: Count
    kv_heads: Count
    head_dim: Annotated[Literal[32, 64, 96, 128], Field(description="what vLLM's CPU attention accepts")]
    feed_forward: Annotated[Count, Field(description="width, of one expert in a mixture")]
    experts: Annotated[int, Field(ge=0, description="0 for a dense model")]
    experts_per_token: Annotated[int, Field(ge=0)]
    context: Annotated[int, Field(ge=4096, description="tokens")]
    pretraining: Pretraining
    seed: Seed


# --- inputs: problems -------------------------------------------------------------------------------------------
class MadeProblems(Section):
    """Problems of a laptop family, made here with worked solutions."""

    family: Literal["chain", "digits"]
    pool: Annotated[
        Literal["train", "benchmark"],
        Field(description="disjoint; benchmarks, and nothing else, draw from `benchmark`"),
    ]
    count: Count
    depth: tuple[Count, Count]
    slips: Annotated[Fraction, Field(description="chance that a step of the worked solution goes wrong")]
    seed: Seed


class ReadProblems(Section):
    """What is known of a set that others made."""

    gold: Gold
    count: Annotated[
        Count | None, Field(description="problems of the whole set; another number is an error; null: any")
    ]
    published: Annotated[
        str | None,
        Field(
            pattern=r"^\d{4}(-\d\d){0,2}$",
            description="year, month, day: later models may have seen it; null: not known",
        ),
    ]
    limit: Annotated[int | None, Field(ge=1, description="take the first so many; null: all")]


class FileProblems(ReadProblems):
    """Problems from a local parquet, json or jsonl file in one of the known layouts (see polaris/problems/problem_layouts.py)."""

    file: Path


class HubProblems(ReadProblems):
    """Problems from a Hugging Face dataset at a pinned revision."""

    hub: str
    revision: Revision
    config: str | None
    split: str
    files: Annotated[list[str] | None, Field(description="read these only; null: as the repository's README.md says")]


def _kind(*keys: str) -> Discriminator:
    """Choose a section by the key that only it has, so that an error speaks of that section alone."""

    def tag(values: Any) -> str | None:
        has = (lambda key: key in values) if isinstance(values, dict) else (lambda key: hasattr(values, key))
        return next((f"<{key}>" for key in keys if has(key)), None)

    message = f"one of the keys {', '.join(keys)} is missing"
    return Discriminator(tag, custom_error_type="kind", custom_error_message=message)


Model = Annotated[
    Annotated[HubModel, Tag("<hub>")] | Annotated[LocalModel, Tag("<path>")] | Annotated[TinyModel, Tag("<tiny>")],
    _kind("hub", "path", "tiny"),
]
Problems = Annotated[
    Annotated[MadeProblems, Tag("<family>")]
    | Annotated[FileProblems, Tag("<file>")]
    | Annotated[HubProblems, Tag("<hub>")],
    _kind("family", "file", "hub"),
]


class Inputs(Section):
    """Everything that comes from outside, by name."""

    base_small: Model
    base_large: Annotated[Model | None, Field(description="null, with large_sft, merge: no generalist")]
    teacher: Annotated[Model | None, Field(description="who answers the format problems; null: their own solutions")]
    problems: Annotated[dict[str, Problems], Field(description="rl, and format and distill where they are used")]
    benchmarks: dict[str, Problems]


# --- generation and grading -------------------------------------------------------------------------------------
class Generate(Section):
    """Responses of one model to the problems of some sets (polaris.generation.generate)."""

    k: Annotated[dict[str, Count], Field(description="problem set -> responses per problem")]
    instruction: Annotated[str, Field(description="appended to the problem's text")]
    sampling: Sampling
    engine: Engine


class Grading(Section):
    """How a response becomes right or wrong (polaris.grading.grade)."""

    grader: Annotated[Grader, Field(description="deepscaler: V1's, for fidelity; see docs/reward.md")]
    format: Annotated[Literal["think", "none"], Field(description="think: an answer without </think> is wrong")]
    timeout: Annotated[float, Field(gt=0, description="seconds for one answer")]
    workers: Count
    max_failures: Annotated[Fraction, Field(description="share of timeouts and crashes that stops the stage")]


# --- cleaning -------------------------------------------------------------------------------------------------------
class Clean(Section):
    """Which problems of a training set stay (polaris.problems.clean_problems; docs/data.md)."""

    unsuitable: Annotated[list[Rule], Field(description="leave these out; empty for prompts that nobody grades")]
    max_characters: Annotated[Count, Field(description="of a problem's text")]
    duplicate_ngram: Annotated[Count, Field(description="words and operators whose runs are compared within the set")]
    duplicate_share: Annotated[
        float, Field(gt=0, le=1, description="Jaccard of their runs that makes two problems one")
    ]
    leak_ngram: Annotated[Count, Field(description="words in a row that no training and benchmark problem may share")]
    leak_template: Annotated[int, Field(ge=2, description="a run in so many training problems is a template, no leak")]
    grading: Annotated[Grading, Field(description="for the rule unparseable_gold")]


# --- evaluation and report --------------------------------------------------------------------------------------
class FurtherEvaluation(Generate):
    """Some checkpoints asked once more in another way; what an entry does not name is as in `evaluate.generate`."""

    models: Annotated[list[str], Field(min_length=1, description="evaluated models")]

    @property
    def generate(self) -> Generate:
        return Generate(**self.model_dump(exclude={"models"}))

    def told(self, usual: Generate) -> str:
        """What it changes of `usual`, in words; empty where that is nothing."""
        return "; ".join(_changes(self.generate.model_dump(mode="json"), usual.model_dump(mode="json")))


def _changes(new: dict[str, Any], old: dict[str, Any], within: str = "") -> Iterator[str]:
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            yield from _changes(value, before, f"{within}{key}.")
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
    also: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], FurtherEvaluation],
        Field(description="entry -> models that are evaluated once more, as <model>@<entry>"),
    ]
    grading: Grading


class Resampling(Section):
    """How uncertain a number is."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=200, description="bootstrap draws of questions, and permutations of a test")]
    seed: Seed


class Published(Section):
    """What a source prints of a recipe, in percent; nothing is computed from it."""

    source: str
    average_of: Annotated[
        list[str], Field(description="benchmarks of the values called average; empty: there are none")
    ]
    values: Annotated[
        dict[str, dict[str, Annotated[float, Field(ge=0, le=100)]]],
        Field(description="model -> benchmark or average -> value"),
    ]


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


class SelfDistillation(Section):
    """The generalist that was trained on its own traces, and its merges."""

    distilled: str
    alphas: Annotated[dict[str, str], Field(description="as the page's")]


class PlannedStage(Section):
    """All jobs of one stage, as `polaris plan` saw them beforehand."""

    jobs: Count
    gpus: Annotated[int, Field(ge=0, description="reserved for one job")]
    hours: Annotated[tuple[float, float], Field(description="wall time of all jobs together, lowest and highest")]
    bytes: Annotated[float, Field(ge=0, description="that they publish")]


class Plan(Section):
    """What `polaris plan --keep` wrote before the run."""

    gpu: str
    stages: dict[str, PlannedStage]


class Again(Section):
    """A model's further evaluation."""

    of: Annotated[str, Field(description="the model")]
    told: Annotated[str, Field(description="how it was asked, unlike the others")]


class ReportPage(Report):
    """What the report's rule adds for the verb: which models were evaluated, and how they hang together."""

    ladder: Annotated[
        list[str], Field(min_length=1, description="the small model's checkpoints, in the order of the flow")
    ]
    generalists: Annotated[list[str], Field(description="the large base model and the distilled one; empty: none")]
    alphas: Annotated[dict[str, str], Field(description="alpha as spelled in paths -> the model at that alpha")]
    select_on: Annotated[
        list[str], Field(description="benchmarks on which alpha is chosen; all others are headline sets")
    ]
    selected: Annotated[str | None, Field(description="alpha that the recipe selects, as spelled in paths")]
    also: Annotated[dict[str, Again], Field(description="<model>@<entry> -> which model, and how it was asked")]
    dates: Annotated[dict[str, str], Field(description="benchmark -> when it was published, where that is known")]
    self_distillation: Annotated[SelfDistillation | None, Field(description="the control; null: there is none")]
    published_values: Published | None
    planned: Annotated[Plan | None, Field(description="null: nothing was planned")]
