"""Whether a model, a batch and a layout of processes fit each other."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from large_sft.model.context import padded_length
from large_sft.model.decoder import Decoder
from large_sft.settings import Layout, Placed, Sft
from polaris.stage.errors import UserError


def data_parallel(layout: Layout) -> int:
    """Replicas that see different packs."""
    return layout.gpus_per_node * layout.nodes // (layout.tensor * layout.pipeline * layout.context)


def packs_per_batch(settings: Sft) -> int:
    """Packs of a global batch. Raises UserError when the three numbers do not divide."""
    replicas, pack, batch = data_parallel(settings.layout), settings.seq_length, settings.batch_tokens
    if batch % (pack * replicas):
        raise UserError(
            f"batch_tokens: {batch} is not a multiple of seq_length ({pack}) times the {replicas} data-parallel "
            "replicas"
        )
    return batch // pack


def padded_lengths(lengths_R: Sequence[int], layout: Layout) -> list[int]:
    """Tokens that each trace takes up in a pack."""
    return [padded_length(length, layout.context) for length in lengths_R]


def layers_of_stages(layers: int, layout: Layout) -> list[int]:
    """Layers of each pipeline stage: the first and the last as the recipe says, the others alike. Raises UserError."""
    first, last = layout.first_layers, layout.last_layers
    left = layers - (first or 0) - (last or 0)
    others = layout.pipeline - (first is not None) - (last is not None)
    if left < others or left % max(1, others) or (others == 0 and left):
        raise UserError(
            f"layout.pipeline: {layout.pipeline} stages cannot share the model's {layers} layers equally"
            + (f" with first_layers {first} and last_layers {last}" if first or last else "")
            + "; first_layers and last_layers may give the first and the last stage another number"
        )
    equal = [left // others] * others if others else []
    stages = [*([first] if first else []), *equal, *([last] if last else [])]
    if wrong := next((n for n in stages if n % layout.virtual_pipeline), None):
        raise UserError(
            f"layout.virtual_pipeline: {layout.virtual_pipeline} does not divide a pipeline stage's {wrong} layers"
        )
    return stages


def check(model: Decoder, settings: Sft) -> None:
    """Model, layout and batch fit. Raises UserError naming the numbers that do not."""
    check_model(model, settings)
    layout, packs = settings.layout, packs_per_batch(settings) // data_parallel(settings.layout)
    if layout.virtual_pipeline > 1 and packs % layout.pipeline:
        raise UserError(
            f"layout.virtual_pipeline: the {packs} packs of a batch on one replica are not a multiple of the "
            f"{layout.pipeline} pipeline stages"
        )


def check_model(model: Decoder, settings: Placed) -> None:
    """Model and layout fit. Raises UserError naming the numbers that do not."""
    layout = settings.layout
    chunks = 2 * layout.context if layout.context > 1 else 1
    for name, parts, what, whole in (
        ("expert", layout.expert, "experts", model.experts),
        ("expert_tensor", layout.expert_tensor, "expert's inner width", model.moe_intermediate_size),
        ("tensor", layout.tensor, "inner width", 0 if all(model.moe_layers) else model.intermediate_size),
        ("tensor", layout.tensor, "key/value heads", model.kv_heads),
        ("tensor", layout.tensor, "attention heads", model.heads),
        ("tensor", layout.tensor, "tokens of the vocabulary", model.vocabulary),
    ):
        if whole % parts:
            raise UserError(f"layout.{name}: {parts} does not divide the model's {whole} {what}")
    # Context parallelism cuts a trace into chunks, sequence parallelism what lies on a rank into equal parts.
    if settings.seq_length % (parts := math.lcm(chunks, layout.context * layout.tensor)):
        raise UserError(
            f"seq_length: {settings.seq_length} is not a multiple of {parts}, which layout.tensor {layout.tensor} "
            f"and layout.context {layout.context} ask for"
        )
    layers_of_stages(model.layers, layout)
    if not model.experts and layout.expert > 1:
        raise UserError(f"layout.expert: {layout.expert}, but the model is dense; use 1")


def is_same_layout(saved: Mapping[str, Any], data: str, layout: Layout, checkpoint: Path) -> bool:
    """Whether this is the very layout that the checkpoint was written in.

    saved: what it says of itself (data, layout, reshardable); data: digest of this training's plan of packs
    Raises UserError where it cannot be continued: other data, or another layout that it was not written for.
    """
    then, now = saved["layout"], layout.model_dump()
    if changed := [name for name in now if then[name] != now[name]]:
        was, is_ = (", ".join(f"{name} {of[name]}" for name in changed) for of in (then, now))
        where = f"{checkpoint}: it was written in a layout of {was}, this one has {is_}"
        undo = "go on with that layout, or remove the checkpoint to start again"
        if not saved["reshardable"]:
            raise UserError(f"{where}, and `reshardable` was false; {undo}")
        if (then["expert"] > 1) != (now["expert"] > 1):
            # Experts in parallel have an optimizer of their own; one optimizer's state is not the two others' (0.16.1).
            raise UserError(f"{where}; layouts of expert 1 and of more do not exchange checkpoints; {undo}")
        if "context" in changed and saved["data"] != data:
            raise UserError(f"{where}, which packs the traces in another way; {undo}")
    if saved["data"] != data:
        raise UserError(f"{checkpoint}: it belongs to other data or another batch size; remove it to start again")
    return not changed
