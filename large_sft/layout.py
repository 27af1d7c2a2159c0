"""Whether a model, a batch and a layout of processes fit each other."""

from large_sft.qwen3 import Qwen3
from large_sft.settings import Layout, Placed, Sft
from polaris.errors import UserError


def data_parallel(layout: Layout) -> int:
    """Replicas that see different packs."""
    return layout.processes * layout.nodes // (layout.tensor * layout.pipeline * layout.context)


def packs_per_batch(settings: Sft) -> int:
    """Packs of a global batch. Raises UserError when the three numbers do not divide."""
    replicas, pack, batch = data_parallel(settings.layout), settings.pack_tokens, settings.batch_tokens
    if batch % (pack * replicas):
        raise UserError(
            f"batch_tokens: {batch} is not a multiple of pack_tokens ({pack}) times the {replicas} data-parallel replicas"
        )
    return batch // pack


def check(model: Qwen3, settings: Sft) -> None:
    """Model, layout and batch fit. Raises UserError naming the numbers that do not."""
    check_model(model, settings)
    packs_per_batch(settings)


def check_model(model: Qwen3, settings: Placed) -> None:
    """Model and layout fit. Raises UserError naming the numbers that do not."""
    layout = settings.layout
    for name, parts, what, whole in (
        ("expert", layout.expert, "experts", model.experts),
        ("expert_tensor", layout.expert_tensor, "expert's inner width", model.expert_feed_forward),
        ("tensor", layout.tensor, "key/value heads", model.kv_heads),
        ("tensor", layout.tensor, "attention heads", model.heads),
        ("tensor", layout.tensor, "tokens of the vocabulary", model.vocabulary),
        ("tensor", layout.tensor, "tokens of a pack", settings.pack_tokens),
        ("pipeline", layout.pipeline, "layers", model.layers),
    ):
        if whole % parts:
            raise UserError(f"layout.{name}: {parts} does not divide the model's {whole} {what}")
    if not model.experts and layout.expert > 1:
        raise UserError(f"layout.expert: {layout.expert}, but the model is dense; use 1")
    if layout.context > 1:
        raise UserError(f"layout.context: {layout.context}: context parallelism is not supported yet; use 1")
