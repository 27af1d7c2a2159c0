"""verl's trainings on the hardware: how many GPUs an actor takes, and what its rollout engine leaves it."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from polaris.hardware.engines import chosen, powers
from polaris.hardware.memory import ASLEEP, TIGHT, beside_rollouts, cache, fsdp, total, vllm
from polaris.hardware.settings import Hardware
from polaris.hardware.shapes import Shape
from small_rl.format_settings import FormatSft
from small_rl.rl_settings import RlTraining

# Rollouts of a step on each GPU, where the hardware allows it: V2 has 512 on 32. With fewer most of the GPUs wait for
# the longest response.
ROLLOUTS = 16
# Tokens of one pass, where they fit: enough to fill a GPU. A longer sequence is a pass of its own.
PASS = 16384
SHARES = 20  # of a GPU's memory: an engine's share is rounded down to a twentieth
LARGEST_SHARE = 0.85

Sizes = dict[str, Any]


def format_gpus(settings: FormatSft, shape: Shape, hardware: Hardware) -> int | None:
    """The most GPUs of a node that share the batch and hold the model; None where it does not fit on them."""
    for gpus in range(hardware.gpus_per_node, 0, -1):
        if settings.batch % (gpus * settings.micro_batch) == 0:
            return gpus if format_need(settings, shape, gpus) <= hardware.kind.memory else None
    return None


def format_need(settings: FormatSft, shape: Shape, gpus: int) -> float:
    """Bytes on each of so many GPUs of a format SFT."""
    return total(fsdp(shape, gpus, settings.micro_batch * settings.max_tokens))


def longest(stage: RlTraining) -> int:
    """Tokens of the longest sequence of an RL stage."""
    return stage.max_prompt_length + stage.max_response_length


def rl_sizes(
    stage: RlTraining, shape: Shape, hardware: Hardware, fixed: Mapping[str, Any], engine: Mapping[str, Any]
) -> tuple[Sizes, Sizes] | None:
    """The stage's own sizes and those of its engine; None where nothing fits.

    fixed, engine: those that are given by hand
    """
    for limit in (TIGHT * hardware.kind.memory, hardware.kind.memory):
        for nodes, gpus in _worlds(stage, hardware, fixed):
            for tensor in chosen(engine, "tensor_parallel_size", [n for n in powers(gpus) if gpus % n == 0]):
                for tokens in chosen(fixed, "max_tokens_per_gpu", passes(stage)):
                    world = nodes * gpus
                    share = engine.get("gpu_memory_utilization") or _share(shape, world, hardware.kind.memory, limit)
                    whole = gpus % tensor == 0 and shape.heads % tensor == 0
                    if whole and _fits(stage, shape, world, tensor, tokens, share, hardware.kind.memory, limit):
                        own = {"nodes": nodes, "gpus_per_node": gpus, "max_tokens_per_gpu": tokens}
                        # verl has an engine on every `tensor_parallel_size` GPUs by itself.
                        rollouts = {"tensor_parallel_size": tensor, "pipeline_parallel_size": 1, "nodes": 1}
                        rollouts |= {"replicas": 1, "gpu_memory_utilization": share}
                        return own, {**rollouts, **engine}
    return None


def passes(stage: RlTraining) -> list[int]:
    """Tokens of a pass, from the most that is worth it down to the longest sequence."""
    least = longest(stage)
    return [*(PASS // 2**i for i in range(PASS.bit_length()) if PASS // 2**i > least), least]


def rl_need(stage: RlTraining, shape: Shape, hardware: Hardware) -> float:
    """Bytes on each of all GPUs at the least: a pass over the longest sequence, or the engine awake with a response."""
    world, gpus = hardware.nodes * hardware.gpus_per_node, hardware.gpus_per_node
    engine = stage.engine.model_copy(update={"tensor_parallel_size": gpus, "pipeline_parallel_size": 1})
    parts, memory = vllm(shape, gpus, hardware.kind.memory, 1.0), hardware.kind.memory
    awake = parts["weights"] + parts["other"] + cache(shape, engine) * engine.max_model_len
    asleep = total(fsdp(shape, world, longest(stage))) + ASLEEP
    return max(asleep, awake + total(beside_rollouts(shape, world, memory, 0.0)))


def _worlds(stage: RlTraining, hardware: Hardware, fixed: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """(nodes, GPUs of each): the most that have ROLLOUTS each, then fewer and more; only those that share an update."""
    nodes = chosen(fixed, "nodes", powers(hardware.nodes))
    worlds = [(n, gpus) for n in nodes for gpus in chosen(fixed, "gpus_per_node", [hardware.gpus_per_node])]
    rollouts = stage.prompts_per_step * stage.group_size
    update = rollouts // stage.updates_per_step
    shared = [world for world in worlds if update % math.prod(world) == 0]
    if not shared and not fixed.get("gpus_per_node"):
        shared = [(1, gpus) for gpus in range(hardware.gpus_per_node, 0, -1) if update % gpus == 0]
    yield from sorted(
        shared or worlds,
        key=lambda world: (math.prod(world) * ROLLOUTS > rollouts, abs(math.prod(world) - rollouts / ROLLOUTS)),
    )


def _share(shape: Shape, world: int, memory: float, limit: float) -> float:
    """What the actor leaves to an engine that is awake, as a share of the whole GPU."""
    left = (limit - total(beside_rollouts(shape, world, memory, 0.0))) / memory
    return min(LARGEST_SHARE, math.floor(SHARES * left) / SHARES)


def _fits(
    stage: RlTraining, shape: Shape, world: int, tensor: int, tokens: int, share: float, memory: float, limit: float
) -> bool:
    """Whether an update fits beside the sleeping engine, and a response beside the sleeping actor."""
    if share <= 0 or total(fsdp(shape, world, tokens) | {"rollouts": ASLEEP}) > limit:
        return False
    engine = stage.engine.model_copy(update={"tensor_parallel_size": tensor, "pipeline_parallel_size": 1})
    room = vllm(shape, engine.gpus, memory, share)["KV cache"]
    awake = total(beside_rollouts(shape, world, memory, share))
    return awake <= memory and room >= cache(shape, engine) * engine.max_model_len
