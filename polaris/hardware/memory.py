"""GPU memory of one rank, part by part, in bytes: what is known from shapes, and one stated guess for the rest.

Checked against published layouts in tests/unit/hardware/test_memory.py; figures agree within about 10 %. Two were
measured on an H200: a mixture took 6 to 14 % more, an RL actor 7 % less (docs/performance.md).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from polaris.generation.settings import Engine
from polaris.hardware.shapes import Shape
from polaris.stage.errors import UserError

GIB = 1 << 30
# CUDA context, NCCL buffers, kernels' work space, fragmentation: a guess.
OVERHEAD = 6 * GIB
# A rollout engine that sleeps at level 2: its CUDA context and graphs, 2 to 4 GiB by verl's users; a guess.
ASLEEP = 3 * GIB
TRANSFER = 2 * GIB  # verl's bucket of weights on their way to the engine (update_weights_bucket_megabytes)
FUSED_TOKENS = 512  # whose logits exist at a time (verl's FusedLinearForPPO)
# Share of a GPU's memory beyond which this arithmetic's error decides: 14 % measured (docs/performance.md).
TIGHT = 0.87
# Tokens of the most loaded expert against the mean: a guess; real routing is uneven.
IMBALANCE = 1.3

Parts = dict[str, float]


@dataclass(frozen=True)
class Ranks:
    """How a model lies over `world` GPUs, Megatron's terms."""

    world: int
    tensor: int
    pipeline: int
    expert: int
    expert_tensor: int
    context: int

    def __str__(self) -> str:
        parts = (("TP", self.tensor), ("PP", self.pipeline), ("EP", self.expert), ("ETP", self.expert_tensor))
        return f"{self.world} GPUs " + " ".join(f"{name}{n}" for name, n in (*parts, ("CP", self.context)))


def total(parts: Parts) -> float:
    return sum(parts.values())


def megatron_stages(shape: Shape, ranks: Ranks) -> list[int]:
    """Layers of each pipeline stage: equal where that divides, else embedding and loss count as a layer each.

    The latter is Megatron's account_for_embedding_in_pipeline_split and account_for_loss_in_pipeline_split.
    """
    if shape.layers % ranks.pipeline == 0:
        return [shape.layers // ranks.pipeline] * ranks.pipeline
    slots = -(-(shape.layers + 2) // ranks.pipeline)
    before = [slots - 1] + [slots] * (ranks.pipeline - 2)
    return [*before, shape.layers - sum(before)]


def megatron(
    shape: Shape,
    ranks: Ranks,
    tokens: int,
    recompute: str,
    *,
    layers: list[int] | None = None,
    loss_chunk: int | None = None,
    gradient: int = 4,
    offload: float = 0.0,
) -> Parts:
    """Peak of the fullest rank in bf16 training with the distributed optimizer. tokens: of one pack (micro-batch 1).

    layers: of each pipeline stage, `megatron_stages` without; loss_chunk: tokens whose logits exist at once, all
        without

    Per parameter: 2 bytes weight, `gradient` bytes gradient, 12 bytes optimizer (fp32 weight and Adam's two moments),
    the last divided over the data-parallel ranks; `offload`: its share on the host. Activations: megatron-core keeps
    the input of every layer (recompute: full) or every layer's own, for as many micro-batches as are in flight at that
    stage of 1F1B, plus one layer under recomputation with its gradients.
    """
    layers = layers or megatron_stages(shape, ranks)
    logits = min(tokens / ranks.context, loss_chunk or tokens)
    stages = (
        _megatron_stage(
            shape,
            ranks,
            layers,
            stage,
            tokens=tokens,
            logits=logits,
            recompute=recompute,
            gradient=gradient,
            offload=offload,
        )
        for stage in range(len(layers))
    )
    return max(stages, key=total)


def _megatron_stage(
    shape: Shape,
    ranks: Ranks,
    layers: list[int],
    stage: int,
    *,
    tokens: int,
    logits: float,
    recompute: str,
    gradient: int,
    offload: float,
) -> Parts:
    """A rank of one pipeline stage. logits: tokens whose logits exist at once; the rest as of `megatron`"""
    first, last = stage == 0, stage == len(layers) - 1
    ends = (first or last and shape.tied) + (last and not shape.tied)
    dense = (
        layers[stage] * (shape.attention + (0 if shape.experts else shape.expert)) + ends * shape.embedding
    ) / ranks.tensor
    experts = layers[stage] * shape.experts * shape.expert / (ranks.expert * ranks.expert_tensor)
    replicas = ranks.world // (ranks.tensor * ranks.pipeline)  # data- and context-parallel
    expert_replicas = ranks.world // (ranks.pipeline * ranks.expert * ranks.expert_tensor)
    held, own = tokens / ranks.context / ranks.tensor, tokens / ranks.context  # with sequence parallelism, without
    chosen = shape.experts_per_token or 1
    attention = own * 4 * (shape.heads + shape.kv_heads) * shape.head_dim / ranks.tensor + held * 6 * shape.hidden
    blocks = held * chosen * (2 * shape.hidden + 6 * shape.width)
    working = 2 * (attention + blocks * (IMBALANCE if shape.experts else 1.0))
    kept = 2 * held * shape.hidden if recompute == "full" else attention + blocks
    in_flight = ranks.pipeline - stage
    return {
        "weights": 2 * (dense + experts),
        "gradients": gradient * (dense + experts),
        "optimizer": 12 * (dense / replicas + experts / expert_replicas) * (1 - offload),
        "activations": in_flight * layers[stage] * kept + working,
        # bf16 logits and their fp32 gradient, cross entropy fused.
        "logits": 6 * logits * shape.vocabulary / ranks.tensor if last else 0.0,
        "other": OVERHEAD,
    }


def layouts(shape: Shape, world: int) -> Iterator[Ranks]:
    """Every layout of `world` GPUs that Megatron's product rules allow, without context parallelism.

    A mixture's experts lie whole on their ranks; a dense model's blocks are cut as its attention is.
    """
    powers = [2**i for i in range(world.bit_length()) if 2**i <= world]
    for tensor, pipeline, expert in itertools.product(powers, powers, powers):
        divides = world % (tensor * pipeline) == 0 and world % (pipeline * expert) == 0
        splits = shape.layers % pipeline == 0 or (shape.layers + 2) % pipeline == 0
        heads = shape.kv_heads % tensor == 0 and shape.vocabulary % tensor == 0
        mixture = expert == 1 and tensor == 1 or expert > 1 and shape.experts % expert == 0
        if divides and splits and heads and (mixture if shape.experts else expert == 1):
            yield Ranks(world, tensor, pipeline, expert, 1 if shape.experts else tensor, 1)


def fsdp(shape: Shape, world: int, tokens: int) -> Parts:
    """verl's FSDP2 actor with fp32 master weights: 16 bytes per parameter over all ranks, layers gathered in 2 bytes.

    tokens: of one forward and backward pass of a rank. Gradient checkpointing keeps the input of every layer. Logits:
    those of FUSED_TOKENS at a time, in 2 bytes and in float32 with probabilities, one-hot answers and gradient (20
    bytes in all); the gradient of the output layer twice in 2 bytes, for it is summed over the chunks (verl's
    FusedLinearForPPO).
    """
    layer = shape.attention + max(1, shape.experts) * shape.expert
    wide = (2 * shape.heads + 2 * shape.kv_heads) * shape.head_dim + 2 * shape.hidden + 3 * shape.width
    return {
        "weights": 4 * shape.parameters / world + 2 * (2 * layer + shape.embeddings),
        "gradients": 4 * shape.parameters / world,
        "optimizer": 8 * shape.parameters / world,
        "activations": 2.0 * tokens * (shape.layers * shape.hidden + 1.5 * wide),
        "logits": 20.0 * min(tokens, FUSED_TOKENS) * shape.vocabulary + 4.0 * shape.embedding,
        "other": OVERHEAD,
    }


def beside_rollouts(shape: Shape, world: int, memory: float, share: float) -> Parts:
    """One GPU while verl's rollout engine is awake: its share, and what the actor keeps on the GPU meanwhile.

    The engine takes its share of the whole memory, whatever is there already. The actor's gradients are gone by then.
    """
    return {
        "engine": share * memory,
        "weights": 4 * shape.parameters / world,
        "optimizer": 8 * shape.parameters / world,
        "other": OVERHEAD + TRANSFER,
    }


def cache(shape: Shape, engine: Engine) -> float:
    """Bytes of KV cache per token on one GPU of a vLLM engine."""
    value = 2.0 if engine.kv_cache_dtype == "auto" else 1.0
    return shape.cache(engine.tensor_parallel_size, engine.pipeline_parallel_size, value)


def share(engine: Engine) -> float:
    """Share of a GPU's memory that an engine takes. Raises UserError for an engine on the CPU."""
    if engine.device == "cpu" or engine.gpu_memory_utilization is None:
        raise UserError("device: cpu: an engine of this recipe runs on the CPU; there is no GPU to plan for")
    return engine.gpu_memory_utilization


def vllm(shape: Shape, gpus: int, memory: float, share: float) -> Parts:
    """One of the GPUs of a vLLM engine: everything in its `share` that is neither weights nor work space is KV cache.

    memory: bytes of the GPU. The cache may come out too small, or negative.
    """
    work = 3.0 * GIB  # activations of a batch and CUDA graphs: a guess
    weights = shape.weights / gpus
    return {"weights": weights, "KV cache": share * memory - weights - work, "other": work}
