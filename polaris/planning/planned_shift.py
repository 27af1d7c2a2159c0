"""An extra evaluation with a logit shift (RAST) in the plan: two small models beside the engine, on each of its GPUs.

They are no part of the engine's share of the memory, and read one response's token at a time: no batch saves a reading
of their weights (polaris/generation/vllm_shift.py).
"""

from collections.abc import Callable
from dataclasses import replace

from polaris.generation.settings import Generate
from polaris.hardware.gpus import Gpu
from polaris.hardware.memory import GIB, total
from polaris.hardware.shapes import Shape
from polaris.planning.plan_time import DECODING, ranged
from polaris.planning.planned import Planned


def with_shift(
    one: Planned, section: Generate, responses: float, shape_of: Callable[[str], Shape], gpu: Gpu
) -> Planned:
    """The stage with what its small models take; itself without a shift.

    one: as the evaluation of the large model; responses: of one job; shape_of: of a model of the recipe
    """
    if section.shift is None:
        return one
    shapes = [shape_of(name) for name in (section.shift.specialist, section.shift.base)]
    engines = one.gpus // section.engine.gpus
    mean = ranged(lambda tokens: tokens / responses, one.tokens)
    flops = ranged(lambda tokens, length: tokens * sum(s.forward_flops(length) for s in shapes), one.tokens, mean)
    weights = sum(shape.weights for shape in shapes)
    reading = ranged(lambda tokens: tokens / engines * weights / gpu.bandwidth, one.tokens)
    # As for the engine's own cache: a response is half as long as its end on average.
    flying = min(section.engine.max_num_seqs, responses / engines)
    caches = flying * mean[1] / 2 * sum(shape.cache() for shape in shapes)
    parts = one.parts | {"other": one.parts["other"] + weights + caches}
    note = (
        f"its two small models, on each GPU beside the engine: {weights / GIB:.1f} GiB weights, {caches / GIB:.1f} GiB "
        f"caches of {flying:.0f} responses at a time"
    )
    wrong = one.wrong
    if total(parts) > gpu.memory:
        reason = (
            f"shift: {total(parts) / GIB:.1f} GiB on a GPU of {gpu.memory / GIB:.1f}, with the two small models; lower "
            "engine.gpu_memory_utilization or engine.max_num_seqs of this extra evaluation"
        )
        wrong = (*wrong, reason)
    return replace(
        one,
        parts=parts,
        flops=ranged(lambda large, small: large + small, one.flops, flops),
        seconds=(one.seconds[0] + reading[0] / DECODING[1], one.seconds[1] + reading[1] / DECODING[0]),
        notes=(*one.notes, note),
        wrong=wrong,
    )
