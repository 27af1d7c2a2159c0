"""Layouts of the generalist's training: what one takes on a GPU, what the trainer would refuse, which others fit."""

import math
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from large_sft.model import layout
from large_sft.model.qwen3 import Qwen3
from large_sft.settings import Layout, Sft
from polaris.hardware import memory as model_memory
from polaris.hardware.engines import chosen, powers
from polaris.hardware.gpus import Gpu
from polaris.hardware.memory import GIB, Parts, Ranks, total
from polaris.hardware.settings import Hardware
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
    try:
        stages = layout.layers_of_stages(shape.layers, settings.layout)
    except UserError:  # `refusal` says why
        stages = None
    return memory(shape, settings, _ranks(settings.layout), stages)


def _ranks(place: Layout) -> Ranks:
    world = place.gpus_per_node * place.nodes
    return Ranks(world, place.tensor, place.pipeline, place.expert, place.expert_tensor, place.context)


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
            place, need = fits[0]
            return (f"fits: {_ranks(place)} ({need / GIB:.1f} GiB)",)
    return (f"no layout fits on up to {4 * world} of these GPUs",)


def fitting(
    shape: Shape, settings: Sft, gpu: Gpu, gpus: int, fixed: Mapping[str, Any] = MappingProxyType({})
) -> list[tuple[Layout, float]]:
    """Layouts of so many GPUs that the trainer accepts and that fit, the leanest first, with their bytes per GPU.

    fixed: keys of the layout that are given by hand
    """
    fits = []
    for ranks in model_memory.layouts(shape, gpus):
        values = {**settings.layout.model_dump(), **_laid(shape, ranks, settings.layout.gpus_per_node), **fixed}
        try:
            other = settings.model_copy(update={"layout": Layout.model_validate(values)})
        except ValueError:
            continue
        cut = ("tensor", "pipeline", "expert")
        if any(getattr(ranks, key) != fixed.get(key, getattr(ranks, key)) for key in cut) or refusal(shape, other):
            continue
        if (need := total(of(shape, other))) <= gpu.memory:
            fits.append((other.layout, need))
    return sorted(fits, key=lambda pair: pair[1])


def fastest(shape: Shape, settings: Sft, hardware: Hardware, fixed: Mapping[str, Any]) -> Layout | None:
    """The layout with the most FLOP/s by `efficiency` on up to all nodes; None where none fits.

    Those beyond TIGHT only where there is no other; among equals the fewest tensor-parallel ranks, then the leanest.
    """
    fits = []
    for nodes in chosen(fixed, "nodes", powers(hardware.nodes)):
        gpus = chosen(fixed, "gpus_per_node", [hardware.gpus_per_node])[0]
        on = settings.layout.model_copy(update={"gpus_per_node": gpus, "nodes": nodes})
        for layout_, need in fitting(
            shape, settings.model_copy(update={"layout": on}), hardware.kind, nodes * gpus, fixed
        ):
            speed = nodes * gpus * efficiency(settings.model_copy(update={"layout": layout_}))[1]
            tight = need > model_memory.TIGHT * hardware.kind.memory
            fits.append((tight, -round(speed, 3), layout_.tensor, need, layout_))
    return min(fits, key=lambda fit: fit[:-1])[-1] if fits else None


def least(shape: Shape, settings: Sft, gpus: int) -> float:
    """Bytes on a GPU in the leanest layout of so many, whether they fit or not."""
    needs = (total(memory(shape, settings, ranks)) for ranks in model_memory.layouts(shape, gpus))
    return min(needs, default=math.inf)


def _laid(shape: Shape, ranks: Ranks, gpus_per_node: int) -> dict[str, int | None]:
    """The keys of a layout. An uneven pipeline says how many layers its ends have."""
    stages = model_memory.megatron_stages(shape, ranks)
    ends = (stages[0], stages[-1]) if len(set(stages)) > 1 else (None, None)
    return {
        "nodes": max(1, ranks.world // gpus_per_node),
        "tensor": ranks.tensor,
        "pipeline": ranks.pipeline,
        "expert": ranks.expert,
        "expert_tensor": ranks.expert_tensor,
        "context": ranks.context,
        "virtual_pipeline": 1,
        "first_layers": ends[0],
        "last_layers": ends[1],
    }


def _qwen3(shape: Shape) -> Qwen3:
    """The trainer's own description, for its checks."""
    own = {field.name: getattr(shape, field.name) for field in fields(Sizes)}
    return Qwen3(
        **own, moe_layers=(bool(shape.experts),) * shape.layers, normalized_gates=True, norm_epsilon=1e-6,
        rope_base=1e6, context=1 << 20,
    )  # fmt: skip
