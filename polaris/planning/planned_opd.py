"""An OPD stage in the plan: an RL stage, and on GPUs of their own the engines of the models that read its responses."""

from collections.abc import Callable
from dataclasses import replace

from polaris.generation.settings import Engine
from polaris.hardware import memory
from polaris.hardware.gpus import Gpu
from polaris.hardware.memory import GIB
from polaris.hardware.shapes import Shape
from polaris.planning.plan_time import DENSE_TRAINING, ranged, training_seconds
from polaris.planning.planned import Planned
from small_rl.opd_settings import OpdStage

PROMPT = 300  # tokens; small beside a response


def with_teachers(trained: Planned, stage: OpdStage, shape_of: Callable[[str], Shape], gpu: Gpu) -> Planned:
    """The stage as a training, and beside it what its teachers take.

    trained: as an RL stage of its student; shape_of: of a model of the recipe. They read while others are sampled, so
    that the time is somewhere between that of the training alone and that of both.
    """
    models = {"teacher": stage.teacher, "base": stage.teacher_base, "start": stage.student}
    notes, wrong, flops, seconds = list(trained.notes), list(trained.wrong), trained.flops, trained.seconds
    responses = stage.steps * stage.prompts_per_step * stage.group_size
    read = ranged(lambda sampled: sampled + responses * PROMPT, trained.tokens)
    for name, tensor in stage.read.items():
        model = models[name]
        assert model
        shape = shape_of(model)
        engine = stage.distillation.engine.model_copy(update={"tensor_parallel_size": tensor})
        parts = memory.vllm(shape, engine.gpus, gpu.memory, memory.share(engine))
        gpus, weights, room = engine.gpus * engine.replicas, parts["weights"] / GIB, parts["KV cache"] / GIB
        notes.append(
            f"{name} ({model}) on {gpus} more GPUs: {weights:.0f} GiB weights, {room:.0f} GiB KV cache on each"
        )
        wrong += _too_small(name, shape, engine, parts["KV cache"])
        mean = ranged(lambda tokens: tokens / responses, read)
        work = ranged(lambda tokens, length, shape=shape: tokens * shape.forward_flops(length), read, mean)
        flops = ranged(lambda one, other: one + other, flops, work)
        reading = training_seconds(work, gpus, gpu, DENSE_TRAINING)
        seconds = seconds[0], seconds[1] + reading[1]
    return replace(
        trained,
        rule="opd",
        gpus=trained.gpus + stage.teacher_gpus,
        flops=flops,
        seconds=seconds,
        notes=tuple(notes),
        wrong=tuple(wrong),
    )


def _too_small(name: str, shape: Shape, engine: Engine, room: float) -> list[str]:
    """Why an engine has no room for a response."""
    need = memory.cache(shape, engine) * engine.max_model_len
    if room >= need:
        return []
    reason = (
        f"distillation.engine ({name}): {room / GIB:.1f} GiB of a GPU are left for KV cache, one response of "
        f"max_model_len ({engine.max_model_len}) needs {need / GIB:.1f}; raise tensor_parallel_size"
    )
    return [reason]
