"""Where a model comes from, and how far its positions are stretched."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Tag

from polaris.problems.settings import Date, Revision
from polaris.stage.settings import Count, Fraction, Section, Seed, kind


class GivenModel(Section):
    """What is known of a model that others made; no stage but the report's depends on it."""

    date: Annotated[
        Date | None,
        Field(description="last of its training data, or else of its publication; null: unknown"),
    ]


class HubModel(GivenModel):
    """A model from the Hugging Face hub (or its local cache), at a pinned revision."""

    hub: str
    revision: Revision


class LocalModel(GivenModel):
    """A model directory in Hugging Face layout, safetensors only."""

    path: Path


class GgufModel(Section):
    """A model in one GGUF file, unpacked into a directory in Hugging Face layout (polaris.models.gguf_file)."""

    gguf: Annotated[Path, Field(description="the file; with `package`, its place in what that installs")]
    package: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._+-]+$", description="distribution and version; null: none"),
    ]
    sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$", description="of the file; null: any")]


class Pretraining(Section):
    """Brief pre-training of a tiny model on worked solutions, so that there is something to improve."""

    families: Annotated[dict[str, Fraction], Field(description="problem family -> share of the examples")]
    depth: Annotated[tuple[Count, Count], Field(description="number of operations of a problem, lowest and highest")]
    steps: Count
    batch: Annotated[Count, Field(description="examples per step")]
    optimizer: Annotated[
        Literal["adamw", "muon"], Field(description="muon: for the layers' matrices, beside AdamW for all else")
    ]
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    error_rate: Annotated[Fraction, Field(description="chance that a worked step goes wrong")]
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
    intermediate_size: Annotated[Count, Field(description="width, of one expert in a mixture")]
    experts: Annotated[int, Field(ge=0, description="0 for a dense model")]
    experts_per_token: Annotated[int, Field(ge=0)]
    context: Annotated[int, Field(ge=4096, description="tokens")]
    pretraining: Pretraining
    seed: Seed


Model = Annotated[
    Annotated[HubModel, Tag("<hub>")]
    | Annotated[LocalModel, Tag("<path>")]
    | Annotated[GgufModel, Tag("<gguf>")]
    | Annotated[TinyModel, Tag("<tiny>")],
    kind("hub", "path", "gguf", "tiny"),
]


class Yarn(Section):
    """RoPE stretched beyond the length that a model was trained for (YaRN), without a change of attention's
    temperature.
    """

    factor: Annotated[float, Field(gt=1)]
    original: Annotated[Count, Field(description="positions without it; with it factor times as many")]
