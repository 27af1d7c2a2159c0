"""Layouts of the generalist's training: what one takes on a GPU, what the trainer would refuse, which others fit."""

from dataclasses import fields

from large_sft.model import layout
from large_sft.model.qwen3 import Qwen3
from large_sft.settings import Sft
from polaris.hardware import memory as model_memory
from polaris.hardware.gpus import Gpu
from polaris.hardware.memory import GIB, Parts, Ranks, total
from polaris.hardware.shapes import Shape
from polaris.models.architecture import Sizes
from polaris.stage.errors import UserError

# Mixture of experts, while no pipeline stage waits: at most NVIDIA's own 253 of 989 TFLOP/s on 256 H100 with balanced
# routing (Megatron-Bridge, docs/performance-summary.md, 26.04); no figure is published for SFT at 32K tokens, the lower
# end is a guess. Where the experts of a layer lie on several nodes, every layer's tokens cross the slower network:
# half, a guess.
MIXTURE_TRAINING = (0.15, 0.26)
ACROSS_NODES = 0.5


def memory(shape: Shape, settings: Sft, ranks: Ranks, layers: list[int] | None = None) -> Parts:
    """Bytes on the fullest GPU. layers: of the pipeline stages; without it as Megatron would cut them."""
    packs, chunk = settings.seq_length, settings.loss_chunk
    return model_memory.megatron(shape, ranks, packs, settings.recompute, layers=layers, loss_chunk=chunk)


def of(shape: Shape, settings: Sft) -> Parts:
    """Bytes on the fullest GPU in the recipe's own layout."""
    place = settings.layout
    world = place.gpus_per_node * place.nodes
    ranks = Ranks(world, place.tensor, place.pipeline, place.expert, place.expert_tensor, place.context)
    try:
        stages = layout.layers_of_stages(shape.layers, place)
    except UserError:  # `refusal` says why
        stages = None
    return memory(shape, settings, ranks, stages)


def mixture_efficiency(expert_ranks: int, node: int, stages: int, packs: float) -> tuple[float, float]:
    """Share of the peak in the training of a mixture of experts.

    expert_ranks: neighbouring GPUs over which a layer's experts are spread; node: GPUs of a node; packs: of a batch on
    one replica, between which the pipeline's `stages` wait stages - 1 times (the bubble of 1F1B)
    """
    network = ACROSS_NODES if expert_ranks > node else 1.0
    busy = packs / (packs + stages - 1)
    return MIXTURE_TRAINING[0] * network * busy, MIXTURE_TRAINING[1] * network * busy


def efficiency(settings: Sft) -> tuple[float, float]:
    """Share of the peak that a mixture's training may reach in the recipe's own layout."""
    place = settings.layout
    packs = settings.batch_tokens / settings.seq_length / layout.data_parallel(place)
    return mixture_efficiency(place.expert * place.expert_tensor, place.gpus_per_node, place.pipeline, packs)


def refusal(shape: Shape, settings: Sft) -> str | None:
    """What the trainer itself would say of the layout; None: it takes it."""
    try:
        layout.check(_qwen3(shape), settings)
    except UserError as error:
        return str(error)
    return None


def others(shape: Shape, settings: Sft, gpu: Gpu) -> tuple[str, ...]:
    """A note: the leanest layout that fits on as many GPUs, or on two or four times as many."""
    world = settings.layout.gpus_per_node * settings.layout.nodes
    for gpus in (world, 2 * world, 4 * world):
        if fits := fitting(shape, settings, gpu, gpus):
            ranks, need = fits[0]
            return (f"fits: {ranks} ({need / GIB:.1f} GiB)",)
    return (f"no layout fits on up to {4 * world} of these GPUs",)


def fitting(shape: Shape, settings: Sft, gpu: Gpu, gpus: int) -> list[tuple[Ranks, float]]:
    """Layouts of so many GPUs that the trainer accepts and that fit, the leanest first, with their bytes per GPU."""
    fits = []
    for ranks in model_memory.layouts(shape, gpus):
        need = total(memory(shape, settings, ranks))
        nodes = max(1, gpus // settings.layout.gpus_per_node)
        place = {"nodes": nodes, "tensor": ranks.tensor, "pipeline": ranks.pipeline, "expert": ranks.expert}
        stages = model_memory.megatron_stages(shape, ranks)
        ends = (stages[0], stages[-1]) if len(set(stages)) > 1 else (None, None)
        place |= {"virtual_pipeline": 1, "first_layers": ends[0], "last_layers": ends[1]}
        values = {**settings.layout.model_dump(), **place, "expert_tensor": 1, "context": 1}
        try:
            other = settings.model_copy(update={"layout": type(settings.layout).model_validate(values)})
        except ValueError:
            continue
        if refusal(shape, other) is None and need <= gpu.memory:
            fits.append((ranks, need))
    return sorted(fits, key=lambda pair: pair[1])


def _qwen3(shape: Shape) -> Qwen3:
    """The trainer's own description, for its checks."""
    own = {field.name: getattr(shape, field.name) for field in fields(Sizes)}
    return Qwen3(
        **own, moe_layers=(bool(shape.experts),) * shape.layers, normalized_gates=True, norm_epsilon=1e-6,
        rope_base=1e6, context=1 << 20,
    )  # fmt: skip
