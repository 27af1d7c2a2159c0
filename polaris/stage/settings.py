"""Base class of the recipe's sections, and the pieces that several sections share.

Every section is frozen, refuses unknown keys and has no default for a recipe's value: what a run does is written in
its YAML file and nowhere else. A field's unit and bounds stand in its type.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from polaris.stage.errors import UserError

S = TypeVar("S", bound="Section")

Count = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(gt=0, le=5)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Device = Annotated[
    Literal["cpu", "cuda"], Field(description="where it runs; the recipe's `device`, never found by looking")
]


class Section(BaseModel):
    """A part of the recipe: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, serialize_by_alias=True)


class Sampling(Section):
    """How a model is asked for responses."""

    temperature: Temperature
    top_p: Annotated[float, Field(gt=0, le=1)]
    top_k: Annotated[int, Field(ge=-1, description="-1: off")]
    max_tokens: Annotated[Count, Field(description="tokens of one response")]
    seed: Seed


class Yarn(Section):
    """RoPE stretched beyond the length that a model was trained for (YaRN), without a change of attention's
    temperature.
    """

    factor: Annotated[float, Field(gt=1)]
    original: Annotated[Count, Field(description="positions without it; with it factor times as many")]


# vLLM's names (vllm/config/cache.py, CacheDType), of which it has more for single models; fp8 is fp8_e4m3.
KvCache = Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"]


class Engine(Section):
    """The vLLM engine of a generating stage (but for `yarn` not what is asked, only how fast it is answered)."""

    device: Device
    dtype: Annotated[str, Field(pattern="^(float32|float16|bfloat16)$")]
    max_model_len: Annotated[Count, Field(description="tokens of prompt + response")]
    max_num_seqs: Annotated[Count, Field(description="responses in flight")]
    tensor_parallel: Annotated[Count, Field(description="GPUs that share each layer")]
    pipeline_parallel: Annotated[Count, Field(description="groups of such GPUs, each with a part of the layers")]
    nodes: Annotated[Count, Field(description="of the job that one engine takes, its GPUs in equal parts")]
    kv_cache_dtype: Annotated[KvCache, Field(description="auto: as dtype; fp8: half of its bytes, rounded values")]
    memory: Annotated[float, Field(gt=0, description="share of a GPU's memory, or GiB of KV cache on a CPU")]
    replicas: Annotated[Count, Field(description="engines side by side on each node")]
    yarn: Annotated[Yarn | None, Field(description="of this stage's copy of the model; null: as the model has it")]

    @property
    def gpus(self) -> int:
        """GPUs of one engine, on all of its nodes."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def gpus_per_node(self) -> int:
        """Of all engines on a node."""
        return self.replicas * self.gpus // self.nodes

    @model_validator(mode="after")
    def _parts_are_equal(self) -> "Engine":
        if self.device == "cpu" and self.pipeline_parallel > 1:
            raise ValueError("pipeline_parallel must be 1 with device: cpu, where vLLM has none; use tensor_parallel")
        if self.nodes > 1 and self.replicas > 1:
            raise ValueError(f"replicas ({self.replicas}) must be 1 where an engine takes {self.nodes} nodes")
        if self.gpus % self.nodes:
            raise ValueError(
                f"tensor_parallel * pipeline_parallel ({self.gpus}) must be a multiple of nodes ({self.nodes})"
            )
        return self

    @model_validator(mode="after")
    def _stretched_far_enough(self) -> "Engine":
        if self.yarn and self.max_model_len > self.yarn.factor * self.yarn.original:
            raise ValueError(
                f"max_model_len ({self.max_model_len}) must not exceed yarn's factor * original "
                f"({self.yarn.factor:g} * {self.yarn.original})"
            )
        return self


def describe(error: ValidationError, where: str) -> str:
    """One line per wrong key: `where: a.b.c: message (got value)`."""
    lines = []
    for item in error.errors(include_url=False):
        # Parts in <> are the kind of section that was recognised, not keys of the file.
        key = ".".join(str(part) for part in item["loc"] if not str(part).startswith("<")) or "(section)"
        got = (
            ""
            if item["type"] in ("missing", "extra_forbidden", "kind", "value_error")
            else f" (got {item['input']!r:.80})"
        )
        message = {"missing": "this key is missing", "extra_forbidden": "there is no such key"}.get(
            item["type"], item["msg"]
        )
        lines.append(f"{where}: {key}: {message}{got}")
    return "\n".join(lines)


def validated(section: type[S], values: Any, where: str) -> S:
    """The section built from plain values. Raises UserError with a line per wrong key."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise UserError(describe(error, where)) from None


def read_section(section: type[S], text: str) -> S:
    """A section from the text of `--settings`: the values themselves as JSON or YAML, or the path of such a file."""
    if text.lstrip().startswith("{"):
        return validated(section, json.loads(text), "--settings")
    path = Path(text)
    if not path.is_file():
        raise UserError(f"--settings {text}: there is no such file (give a YAML or JSON file, or the values as JSON)")
    return validated(section, yaml.safe_load(path.read_text()), str(path))
