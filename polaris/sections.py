"""The recipe's shared sections: inputs, generation, evaluation and the report."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from polaris.settings import Count, Engine, Fraction, Sampling, Section, Seed

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
    count: Count
    depth: tuple[Count, Count]
    slips: Annotated[Fraction, Field(description="chance that a step of the worked solution goes wrong")]
    seed: Seed


class FileProblems(Section):
    """Problems from a local parquet, json or jsonl file in one of the known layouts (see polaris/problem_layouts.py)."""

    file: Path
    limit: Annotated[int | None, Field(ge=1, description="take the first so many; null: all")]


class HubProblems(Section):
    """Problems from a Hugging Face dataset at a pinned revision."""

    hub: str
    revision: Revision
    config: str | None
    split: str
    limit: Annotated[int | None, Field(ge=1)]


Model = HubModel | LocalModel | TinyModel
Problems = MadeProblems | FileProblems | HubProblems


class Inputs(Section):
    """Everything that comes from outside, by name."""

    base_small: Model
    base_large: Model
    problems: Annotated[dict[str, Problems], Field(description="format, rl and distill are used by the stages")]
    benchmarks: dict[str, Problems]


# --- generation and grading -------------------------------------------------------------------------------------
class Generate(Section):
    """Responses of one model to the problems of some sets (polaris.generate)."""

    k: Annotated[dict[str, Count], Field(description="problem set -> responses per problem")]
    instruction: Annotated[str, Field(description="appended to the problem's text")]
    sampling: Sampling
    engine: Engine


class Grading(Section):
    """How a response becomes right or wrong (polaris.grade)."""

    format: Annotated[Literal["think", "none"], Field(description="think: an answer without </think> is wrong")]
    timeout: Annotated[float, Field(gt=0, description="seconds for one answer")]
    workers: Count
    max_failures: Annotated[Fraction, Field(description="share of timeouts and crashes that stops the stage")]


# --- evaluation and report --------------------------------------------------------------------------------------
class Evaluate(Section):
    """Every checkpoint on every benchmark."""

    generate: Annotated[Generate, Field(description="k: benchmark -> samples per problem")]
    grading: Grading


class Report(Section):
    """The page and results.json."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=200, description="bootstrap draws of questions")]
    seed: Seed
