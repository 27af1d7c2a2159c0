"""The recipe's section of the generalist: traces, their selection, Megatron SFT."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polaris.generation.settings import Engine, Generate
from polaris.grading.settings import Grading
from polaris.stage.settings import Count, Device, Fraction, Section, Seed


class SftData(Section):
    """Which traces teach the generalist (large_sft.traces.build_sft_data)."""

    verify: Annotated[Literal["gold", "none"], Field(description="gold: only traces whose final answer is right")]
    instruction: Annotated[str, Field(description="appended to the problem's text in the training prompt")]
    max_tokens: Annotated[Count, Field(description="tokens of prompt + trace; longer ones are dropped and counted")]
    repeated_ngram: Annotated[Count, Field(description="tokens of the runs by which repetition is measured")]
    max_repeated: Annotated[Fraction, Field(description="share of a trace's runs that may have stood in it before")]
    leak_ngram: Annotated[Count, Field(description="words in a row that no trace and benchmark problem may share")]
    leak_template: Annotated[
        int, Field(ge=2, description="a run in the traces of so many prompts is a template, no leak")
    ]
    grading: Grading


class Layout(Section):
    """How the model lies over the processes; the product rules of Megatron apply."""

    gpus_per_node: Annotated[Count, Field(description="per node (GPUs)")]
    nodes: Count
    tensor: Count
    pipeline: Count
    expert: Count
    expert_tensor: Count
    context: Count
    virtual_pipeline: Annotated[Count, Field(description="chunks of layers on each pipeline stage, visited in turn")]
    first_layers: Annotated[Count | None, Field(description="layers of the first pipeline stage; null: as the others")]
    last_layers: Annotated[Count | None, Field(description="layers of the last pipeline stage; null: as the others")]

    @model_validator(mode="after")
    def _divides(self) -> "Layout":
        world = self.gpus_per_node * self.nodes
        for name, product in (
            ("tensor * pipeline * context", self.tensor * self.pipeline * self.context),
            ("expert * expert_tensor * pipeline", self.expert * self.expert_tensor * self.pipeline),
        ):
            if world % product:
                raise ValueError(f"{name} = {product} does not divide the {world} processes")
        # megatron-core 0.16.1 does not sum expert gradients over tensor ranks then: wrong gradients, silently.
        if self.expert == 1 and self.tensor != self.expert_tensor:
            raise ValueError(f"expert: 1 needs expert_tensor ({self.expert_tensor}) equal to tensor ({self.tensor})")
        for name, off in (("virtual_pipeline", 1), ("first_layers", None), ("last_layers", None)):
            if self.pipeline == 1 and getattr(self, name) != off:
                raise ValueError(f"{name}: {getattr(self, name)} needs several pipeline stages")
        return self


class Placed(Section):
    """A model in Megatron's processes, whatever is done with it."""

    device: Device
    seq_length: Annotated[Count, Field(description="tokens of one packed sequence (context length)")]
    aux_loss: Annotated[float, Field(ge=0, description="coefficient of the router's load-balancing loss")]
    precision: Literal["fp32", "bf16"]
    recompute: Literal["none", "selective", "full"]
    transformer_impl: Annotated[
        Literal["local", "transformer_engine"],
        Field(description="modules of the layers: Transformer Engine's, or megatron-core's and our packed attention"),
    ]
    dispatcher: Annotated[
        Literal["alltoall", "flex"], Field(description="what brings tokens to their experts; flex: DeepEP")
    ]
    layout: Layout
    timeout: Annotated[
        float,
        Field(gt=0, description="seconds for one launch: a training saves and ends before, a hang becomes an error"),
    ]
    seed: Seed

    @model_validator(mode="after")
    def _possible(self) -> "Placed":
        if self.device == "cpu" and self.transformer_impl == "transformer_engine":
            raise ValueError("transformer_impl: transformer_engine needs device: cuda; on a CPU use local")
        if self.dispatcher == "flex" and (self.device == "cpu" or self.layout.expert * self.layout.expert_tensor == 1):
            raise ValueError("dispatcher: flex needs device: cuda and experts on several processes; else use alltoall")
        return self


class Sft(Placed):
    """Megatron SFT of the generalist (large_sft.training.train_sft)."""

    epochs: Annotated[float, Field(gt=0)]
    batch_tokens: Annotated[Count, Field(description="tokens of a global batch, packed and padded")]
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    min_learning_rate: Annotated[float, Field(ge=0, lt=1)]
    warmup: Annotated[Fraction, Field(description="share of the steps")]
    weight_decay: Annotated[float, Field(ge=0)]
    betas: tuple[Fraction, Fraction]
    grad_clip: Annotated[float, Field(gt=0)]
    loss_chunk: Annotated[
        Count | None,
        Field(description="tokens whose logits exist at a time, computed twice; null: all of a pack, once"),
    ]
    save_every: Annotated[Count, Field(description="steps between resumable checkpoints")]
    reshardable: Annotated[bool, Field(description="checkpoints go on in another layout, for host memory when saving")]
    shard_gb: Annotated[float, Field(gt=0, le=50, description="largest exported shard, GB")]


Prompts = Annotated[
    list[Annotated[str, Field(min_length=1)]], Field(min_length=1, description="texts on which two engines must agree")
]


class Reference(Section):
    """The gate's reference from vLLM (large_sft.training.score_prompts)."""

    prompts: Prompts
    vllm: Engine


class Gate(Section):
    """What must hold before the training starts (large_sft.training.check_conversion)."""

    prompts: Prompts
    vllm: Annotated[
        Engine | None,
        Field(description="compare with its log-probabilities; null: with the logits of transformers, on one host"),
    ]
    tolerance: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="largest difference of a logit to transformers, as a share of the largest logit; or mean "
            "difference of a token's log-probability to vLLM",
        ),
    ]

    @model_validator(mode="after")
    def _vllm_stays_on_a_node(self) -> "Gate":
        if self.vllm and (self.vllm.nodes, self.vllm.replicas) != (1, 1):
            raise ValueError("vllm.nodes and vllm.replicas must be 1 here: a few prompts are scored by one engine")
        return self

    @property
    def reference(self) -> Reference | None:
        """The section of the reference from vLLM; None without `vllm`."""
        return self.vllm and Reference(prompts=self.prompts, vllm=self.vllm)


class ConversionCheck(Placed):
    """The gate, in the training's own layout and precision."""

    gate: Gate


class LargeSft(Section):
    """From the specialist's traces to the distilled generalist."""

    traces: Annotated[
        Generate | None,
        Field(
            description="the specialists', to the problem sets of `k`; null: the worked solutions of "
            "inputs.problems.distill"
        ),
    ]
    specialists: Annotated[
        dict[str, str],
        Field(
            default_factory=dict,
            description="problem set -> the model that writes its traces; a set that is not named: small_rl.specialist",
        ),
    ]
    sft_data: SftData
    gate: Gate
    sft: Sft
    self_distillation: Annotated[
        bool, Field(description="a control beside it: the same training on the large model's own traces, merged alike")
    ]

    @property
    def prompts(self) -> list[str]:
        """The problem sets that teach the generalist."""
        return list(self.traces.k) if self.traces else ["distill"]

    def traces_to(self, sets: list[str]) -> Generate:
        """How one model writes its traces: to the prompts of these sets alone."""
        assert self.traces
        return self.traces.model_copy(update={"k": {name: self.traces.k[name] for name in sets}})

    @property
    def conversion(self) -> ConversionCheck:
        """The gate's settings: what of the training the conversion depends on, and no learning rate."""
        return ConversionCheck(gate=self.gate, **{name: getattr(self.sft, name) for name in Placed.model_fields})
