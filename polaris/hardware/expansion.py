"""What a recipe's `hardware` stands for: the device, GPUs of each engine, nodes and layouts of each training."""

import math
from typing import Any

from polaris.generation.settings import Engine
from polaris.hardware.memory import GIB, cache
from polaris.hardware.on_gpus import LAYOUT, OnGpus
from polaris.hardware.parts import FORMATS, OPD, RL, SFT, Key, Parts
from polaris.hardware.settings import Hardware

# Memory for the KV cache of an engine on a CPU, in GiB: for all responses in flight, but no more than this unless one
# response needs it; in steps. Ours.
MOST_CACHE, CACHE_STEP = 4.0, 0.25
ENGINE = {"tensor_parallel_size": 1, "pipeline_parallel_size": 1, "nodes": 1, "replicas": 1}
PASS = 16384  # tokens of a pass of RL's actor, as in the laptop recipe


def expansion(parts: Parts, hardware: Hardware | str) -> dict[Key, Any]:
    """Key -> value of everything that the hardware decides in a recipe.

    Raises UserError for what does not fit, with the hardware that would do, and for models of unknown shape.
    """
    sizes = OnGpus(parts, hardware).sizes if isinstance(hardware, Hardware) else _on_cpu(parts)
    return {key: value for key, value in sizes.items() if parts.free(key)}


def _on_cpu(parts: Parts) -> dict[Key, Any]:
    """One process of everything, and modules that need no GPU."""
    sizes: dict[Key, Any] = {("device",): "cpu"}

    def put(at: Key, values: dict[str, Any]) -> None:
        sizes.update({(*at, key): value for key, value in values.items()})

    def put_engine(at: Key, names: list[str]) -> None:
        put(at, ENGINE | {"kv_cache_gib": _cache_gib(parts, at, names)})

    for at, names in parts.engines():
        put_engine(at, names)
    for at in parts.like_usual():
        put_engine(at, ["base_small"])
    for at in FORMATS:
        if parts.part(at):
            put(at, {"gpus_per_node": 1})
    for at in (*((*RL, name) for name in parts.part(RL)), *((*OPD, name) for name in parts.part(OPD))):
        put(at, {"nodes": 1, "gpus_per_node": 1, "max_tokens_per_gpu": _tokens(parts, at)})
        put_engine((*at, "engine"), [parts.input(str(parts.part(at).get("student", "base_small")))])
    for name in parts.part(OPD):
        models = [parts.part((*OPD, name)).get(key) for key in ("teacher", "teacher_base", "student")]
        put_engine((*OPD, name, "distillation", "engine"), [parts.input(str(model)) for model in models if model])
    if parts.part(SFT):
        put(SFT, {"transformer_impl": "local", "dispatcher": "alltoall"})
        put((*SFT, "layout"), LAYOUT)
    parts.refuse_unknown()
    return sizes


def _cache_gib(parts: Parts, at: Key, names: list[str]) -> float:
    """GiB for the KV cache of the largest model that an engine on the CPU serves."""
    engine = parts.parsed(Engine, at, ENGINE | {"kv_cache_gib": CACHE_STEP})
    if engine is None or not parts.free((*at, "kv_cache_gib")):
        return CACHE_STEP
    wide = 2 if engine.dtype == "float32" else 1
    one = max((cache(shape, engine) for shape in parts.shapes(names, at).values()), default=0.0)
    one *= wide * engine.max_model_len / GIB
    gib = max(one, min(MOST_CACHE, one * engine.max_num_seqs))
    return max(1, math.ceil(gib / CACHE_STEP)) * CACHE_STEP


def _tokens(parts: Parts, at: Key) -> int:
    """Tokens of a pass of an RL stage: never fewer than its longest sequence."""
    lengths = [parts.part(at).get(key) for key in ("max_prompt_length", "max_response_length")]
    return max(PASS, sum(length for length in lengths if isinstance(length, int)))
