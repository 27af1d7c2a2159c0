"""How many GPUs a vLLM engine takes, so that it holds its model and enough responses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polaris.generation.settings import Engine
from polaris.hardware.memory import GIB, cache, vllm
from polaris.hardware.settings import Hardware
from polaris.hardware.shapes import Shape

# An engine's part of a GPU that nothing else uses: vLLM's own default.
SHARE = 0.9
# Responses of full length that an engine holds at once, where the hardware allows it: with fewer most of a GPU's memory
# traffic is weights. Ours; it gives the layouts of the shipped recipes.
RESPONSES = 4

Sizes = dict[str, Any]


def smallest(hardware: Hardware) -> Sizes:
    """One GPU, all of its keys; what the arithmetic improves on."""
    return {
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "nodes": 1,
        "replicas": hardware.gpus_per_node,
        "gpu_memory_utilization": SHARE,
    }


def sizes(
    engine: Engine, models: Sequence[Shape], hardware: Hardware, fixed: Mapping[str, Any], *, alone: bool = False
) -> Sizes | None:
    """The engine on the fewest GPUs on which each of its models has room for RESPONSES, else for the most responses.

    fixed: sizes that are given by hand; alone: one engine on one node. None where no response has room.
    """
    best, most = None, 1.0
    for place in _places(models, hardware, fixed, alone):
        placed = engine.model_copy(update=place)
        held = min(responses(placed, shape, hardware) for shape in models)
        if held >= RESPONSES:
            return place
        if held > most:
            best, most = place, held
    return best


def responses(engine: Engine, shape: Shape, hardware: Hardware) -> float:
    """Responses of max_model_len tokens for which the engine's GPUs have room."""
    share = engine.gpu_memory_utilization or SHARE
    room = vllm(shape, engine.gpus, hardware.kind.memory, share)["KV cache"]
    return room / (cache(shape, engine) * engine.max_model_len)


def need(engine: Engine, shape: Shape, hardware: Hardware, fixed: Mapping[str, Any], *, alone: bool = False) -> str:
    """What one response needs on each GPU of the widest engine, in words."""
    places = list(_places([shape], hardware, fixed, alone)) or [{**smallest(hardware), **fixed}]
    wide = engine.model_copy(update=places[-1])
    share = (wide.gpu_memory_utilization or SHARE) * hardware.kind.memory
    parts, one = vllm(shape, wide.gpus, hardware.kind.memory, 1.0), cache(shape, wide) * engine.max_model_len
    return (
        f"needs {(parts['weights'] + parts['other'] + one) / GIB:.1f} GiB per GPU on {wide.gpus} of them (weights "
        f"{parts['weights'] / GIB:.1f}, one response of max_model_len {engine.max_model_len} {one / GIB:.1f}), an "
        f"engine on {hardware} has {share / GIB:.1f}"
    )


def _places(models: Sequence[Shape], hardware: Hardware, fixed: Mapping[str, Any], alone: bool) -> Iterator[Sizes]:
    """Sizes, those of the fewest GPUs first: parts of a node, a node, several nodes, of which each has some layers."""
    most, gpus = 1 if alone else hardware.nodes, hardware.gpus_per_node
    for nodes in chosen(fixed, "nodes", powers(most)):
        tensors = [n for n in range(1, gpus + 1) if gpus % n == 0] if nodes == 1 else [gpus]
        for tensor in chosen(fixed, "tensor_parallel_size", tensors):
            for pipeline in chosen(fixed, "pipeline_parallel_size", [nodes]):
                replicas = 1 if alone or nodes > 1 else gpus // (tensor * pipeline)
                place = smallest(hardware) | {
                    "tensor_parallel_size": tensor,
                    "pipeline_parallel_size": pipeline,
                    "nodes": nodes,
                    "replicas": replicas,
                }
                place |= fixed
                inside = place["replicas"] * tensor * pipeline <= gpus * nodes
                if inside and replicas and all(shape.heads % tensor == 0 for shape in models):
                    yield place


def powers(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`, and `most` itself."""
    return sorted({2**i for i in range(most.bit_length())} | {most})


def chosen(fixed: Mapping[str, Any], key: str, possible: list[int]) -> list[int]:
    """The possible values of a size; only one where it is given by hand."""
    return [fixed[key]] if fixed.get(key) is not None else possible
