"""Layouts of the generalist's training: what one takes on a GPU, what the trainer would refuse, which others fit."""

from dataclasses import fields

from large_sft.model import layout
from large_sft.model.qwen3 import Qwen3
from large_sft.settings import Sft
from polaris.models.architecture import Sizes
from polaris.planning import plan_memory
from polaris.planning.plan_memory import GIB, Parts, Ranks, total
from polaris.planning.plan_model import Shape
from polaris.planning.plan_time import Gpu, Range, mixture_efficiency
from polaris.planning.planned import Planned
from polaris.stage.errors import UserError


def memory(shape: Shape, settings: Sft, ranks: Ranks, layers: list[int] | None = None) -> Parts:
    """Bytes on the fullest GPU. layers: of the pipeline stages; without it as Megatron would cut them."""
    packs, chunk = settings.seq_length, settings.loss_chunk
    return plan_memory.megatron(shape, ranks, packs, settings.recompute, layers=layers, loss_chunk=chunk)


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


def conversion(shape: Shape, settings: Sft) -> Planned:
    """The gate in the recipe's own layout: the model's weights, and no gradient."""
    training = of(shape, settings)
    parts = {name: training[name] for name in ("weights", "other")}
    gpus = settings.layout.gpus_per_node * settings.layout.nodes
    return Planned(name="conversion", rule="conversion", gpus=gpus, parts=parts)


def efficiency(settings: Sft) -> Range:
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
    for ranks in plan_memory.layouts(shape, gpus):
        need = total(memory(shape, settings, ranks))
        nodes = max(1, gpus // settings.layout.gpus_per_node)
        place = {"nodes": nodes, "tensor": ranks.tensor, "pipeline": ranks.pipeline, "expert": ranks.expert}
        stages = plan_memory.megatron_stages(shape, ranks)
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
