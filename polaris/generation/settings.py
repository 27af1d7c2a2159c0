"""Sampling and engine of the stages that generate."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polaris.models.settings import Yarn
from polaris.stage.settings import Count, Device, Section, Seed

Temperature = Annotated[float, Field(gt=0, le=5)]


class Sampling(Section):
    """Sampling parameters of the responses."""

    temperature: Annotated[float, Field(ge=0, le=5, description="0: greedy, always the likeliest token")]
    top_p: Annotated[float, Field(gt=0, le=1)]
    top_k: Annotated[int, Field(ge=-1, description="-1: off")]
    max_tokens: Annotated[Count, Field(description="tokens of one response")]
    seed: Seed


# vLLM's names (vllm/config/cache.py, CacheDType), of which it has more for single models; fp8 is fp8_e4m3.
KvCache = Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"]


class Engine(Section):
    """The vLLM engine of a generating stage. Only `yarn` changes what the model says, all else only how fast."""

    device: Device
    dtype: Literal["float32", "float16", "bfloat16"]
    max_model_len: Annotated[Count, Field(description="tokens of prompt + response")]
    max_num_seqs: Annotated[Count, Field(description="responses in flight")]
    tensor_parallel_size: Annotated[Count, Field(description="GPUs that share each layer")]
    pipeline_parallel_size: Annotated[Count, Field(description="groups of such GPUs, each with a part of the layers")]
    nodes: Annotated[Count, Field(description="of the job that one engine takes, its GPUs in equal parts")]
    kv_cache_dtype: Annotated[KvCache, Field(description="auto: as dtype; fp8: half of its bytes, rounded values")]
    kv_cache_gib: Annotated[float | None, Field(gt=0, description="memory for the KV cache on a CPU; null: no CPU")]
    gpu_memory_utilization: Annotated[float | None, Field(gt=0, le=1, description="share of a GPU; null: no GPU")]
    replicas: Annotated[Count, Field(description="engines side by side on each node")]
    yarn: Annotated[Yarn | None, Field(description="of this stage's copy of the model; null: as the model has it")]

    @property
    def gpus(self) -> int:
        """GPUs of one engine, on all of its nodes."""
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def gpus_per_node(self) -> int:
        """Of all engines on a node."""
        return self.replicas * self.gpus // self.nodes

    @model_validator(mode="after")
    def _parts_are_equal(self) -> "Engine":
        if self.device == "cpu" and self.pipeline_parallel_size > 1:
            raise ValueError(
                "pipeline_parallel_size must be 1 with device: cpu, where vLLM has none; use tensor_parallel_size"
            )
        if self.nodes > 1 and self.replicas > 1:
            raise ValueError(f"replicas ({self.replicas}) must be 1 where an engine takes {self.nodes} nodes")
        if self.gpus % self.nodes:
            raise ValueError(
                f"tensor_parallel_size * pipeline_parallel_size ({self.gpus}) must be a multiple of nodes "
                f"({self.nodes})"
            )
        return self

    @model_validator(mode="after")
    def _has_memory(self) -> "Engine":
        key = "kv_cache_gib" if self.device == "cpu" else "gpu_memory_utilization"
        if getattr(self, key) is None:
            raise ValueError(f"{key} must be a number with device: {self.device}")
        return self

    @model_validator(mode="after")
    def _stretched_far_enough(self) -> "Engine":
        if self.yarn and self.max_model_len > self.yarn.factor * self.yarn.original:
            raise ValueError(
                f"max_model_len ({self.max_model_len}) must not exceed yarn's factor * original "
                f"({self.yarn.factor:g} * {self.yarn.original})"
            )
        return self


class Shift(Section):
    """A specialist's logits less those of its own base, added to the evaluated model's (RAST); nothing is trained."""

    specialist: Annotated[str, Field(description="evaluated model")]
    base: Annotated[str, Field(description="evaluated model that the specialist was trained from")]
    scale: Annotated[float, Field(gt=0, le=10, description="of the difference; 1: as it is")]


class Generate(Section):
    """Responses of one model to the problems of some sets (polaris.generation.generate)."""

    k: Annotated[dict[str, Count], Field(description="problem set -> responses per problem")]
    instruction: Annotated[str, Field(description="appended to the problem's text")]
    instructions: Annotated[
        dict[str, str],
        Field(default_factory=dict, exclude_if=lambda own: not own, description="problem set -> its own instead"),
    ]
    sampling: Sampling
    engine: Engine
    shift: Annotated[
        Shift | None, Field(exclude_if=lambda shift: shift is None, description="only in evaluate.extra_evaluations")
    ]

    def instruction_of(self, problem_set: str) -> str:
        """What is appended to the problems of a set."""
        return self.instructions.get(problem_set, self.instruction)

    @model_validator(mode="after")
    def _instructions_have_a_set(self) -> "Generate":
        if odd := next((name for name in self.instructions if name not in self.k), None):
            raise ValueError(f"instructions.{odd}: there is no such set here; possible: {' '.join(self.k)}")
        return self

    @model_validator(mode="after")
    def _greedy_once(self) -> "Generate":
        if self.sampling.temperature == 0 and (name := next((name for name, k in self.k.items() if k > 1), None)):
            raise ValueError(f"k.{name}: must be 1 with sampling.temperature: 0, where every response is the same")
        return self
