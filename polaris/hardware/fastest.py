"""The fastest layout of the generalist's training on given hardware, and what the leanest would need."""

import math
from collections.abc import Mapping
from typing import Any

from large_sft.model.layout import data_parallel
from large_sft.settings import Layout, Sft
from polaris.hardware import layouts
from polaris.hardware.engines import chosen, powers
from polaris.hardware.memory import TIGHT, total
from polaris.hardware.memory import layouts as layouts_of
from polaris.hardware.settings import Hardware
from polaris.hardware.shapes import Shape

# Mixture of experts, while no pipeline stage waits: at most NVIDIA's own 253 of 989 TFLOP/s on 256 H100 with balanced
# routing (Megatron-Bridge, docs/performance-summary.md, 26.04); no figure is published for SFT at 32K tokens, the lower
# end is a guess. Where the experts of a layer lie on several nodes, every layer's tokens cross the slower network:
# half, a guess.
MIXTURE_TRAINING = (0.15, 0.26)
ACROSS_NODES = 0.5


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
    packs = settings.batch_tokens / settings.seq_length / data_parallel(place)
    return mixture_efficiency(place.expert * place.expert_tensor, place.gpus_per_node, place.pipeline, packs)


def fastest(shape: Shape, settings: Sft, hardware: Hardware, fixed: Mapping[str, Any]) -> Layout | None:
    """The layout with the most FLOP/s by `efficiency` on up to all nodes; None where none fits.

    Those beyond TIGHT only where there is no other; among equals the fewest tensor-parallel ranks, then the leanest.
    """
    fits = []
    for nodes in chosen(fixed, "nodes", powers(hardware.nodes)):
        gpus = chosen(fixed, "gpus_per_node", [hardware.gpus_per_node])[0]
        on = settings.layout.model_copy(update={"gpus_per_node": gpus, "nodes": nodes})
        for place, need in layouts.fitting(
            shape, settings.model_copy(update={"layout": on}), hardware.kind, nodes * gpus, fixed
        ):
            speed = nodes * gpus * efficiency(settings.model_copy(update={"layout": place}))[1]
            tight = need > TIGHT * hardware.kind.memory
            fits.append((tight, -round(speed, 3), place.tensor, need, place))
    return min(fits, key=lambda fit: fit[:-1])[-1] if fits else None


def least(shape: Shape, settings: Sft, gpus: int) -> float:
    """Bytes on a GPU in the leanest layout of so many, whether they fit or not."""
    needs = (total(layouts.memory(shape, settings, ranks)) for ranks in layouts_of(shape, gpus))
    return min(needs, default=math.inf)
