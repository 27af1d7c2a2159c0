"""Sizes of an OPD stage: on every node an engine of each model that reads, and the student on the other GPUs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from polaris.hardware import actors, engines
from polaris.hardware.settings import Hardware
from polaris.hardware.shapes import Shape
from small_rl.opd_settings import OpdStage

Sizes = dict[str, Any]


def opd_sizes(
    stage: OpdStage,
    read: Sequence[Shape],
    shape: Shape,
    hardware: Hardware,
    own: Mapping[str, Any],
    rollouts: Mapping[str, Any],
    reading: Mapping[str, Any],
) -> tuple[Sizes, Sizes, Sizes] | None:
    """The student's own sizes, those of its rollouts, and those of the teacher's engine; None where nothing fits.

    read: the teacher and its base; own, rollouts, reading: those that are given by hand
    """
    fixed = {"pipeline_parallel_size": 1, "nodes": 1, **reading, "replicas": 1}
    teacher = engines.sizes(stage.distillation.engine, read, hardware, fixed, alone=True)
    if teacher is None:
        return None
    tensor, models = teacher["tensor_parallel_size"], 2 if stage.distillation.needs_base else 1
    for student, engine in _students(stage, shape, hardware, own, rollouts):
        taken = models * tensor + (engine["tensor_parallel_size"] if stage.distillation.delta else 0)
        beside = 0 if stage.distillation.nodes else student["gpus_per_node"]
        if beside + taken <= hardware.gpus_per_node:
            # verl places the engines one after the other: of nodes of their own they fill those GPUs, else one a node.
            alone = stage.distillation.nodes if not stage.distillation.delta else None
            each = alone * (hardware.gpus_per_node // taken) if alone else stage.distillation.nodes or student["nodes"]
            return student, engine, {**teacher, "replicas": reading.get("replicas", each)}
    return None


def _students(
    stage: OpdStage, shape: Shape, hardware: Hardware, own: Mapping[str, Any], rollouts: Mapping[str, Any]
) -> Iterator[tuple[Sizes, Sizes]]:
    """Sizes of the student and of its rollouts, on the most GPUs of a node that share an update first."""
    update = stage.prompts_per_step * stage.group_size // stage.updates_per_step
    nodes = hardware.nodes - (stage.distillation.nodes or 0)
    for gpus in (gpus for gpus in range(hardware.gpus_per_node, 0, -1) if nodes > 0 and update % gpus == 0):
        left = hardware.model_copy(update={"nodes": nodes, "gpus_per_node": gpus})
        if found := actors.rl_sizes(stage, shape, left, own, rollouts):
            yield found
