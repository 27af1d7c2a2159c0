"""Layouts of the generalist's training: what one takes on a GPU, what the trainer would refuse, which others fit."""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from large_sft.model import layout
from large_sft.model.decoder import Decoder
from large_sft.settings import Layout, Sft
from polaris.hardware import memory as model_memory
from polaris.hardware.gpus import Gpu
from polaris.hardware.memory import GIB, Parts, Ranks, total
from polaris.hardware.shapes import Shape
from polaris.models.architecture import Sizes
from polaris.stage.errors import UserError


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


def refusal(shape: Shape, settings: Sft) -> str | None:
    """What the trainer itself would say of the layout; None: it takes it."""
    try:
        layout.check(_decoder(shape), settings)
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


def _decoder(shape: Shape) -> Decoder:
    """The trainer's own description, for its checks."""
    own = {field.name: getattr(shape, field.name) for field in fields(Sizes)}
    return Decoder(
        **own, moe_layers=(bool(shape.experts),) * shape.layers, normalized_gates=True, norm_epsilon=1e-6,
        rope_base=1e6, rope_factor=None, context=1 << 20,
    )  # fmt: skip
