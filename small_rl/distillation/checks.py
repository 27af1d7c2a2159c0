"""What must hold before an engine starts, for a teacher to teach: other weights, the same tokens, enough memory."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from polaris.models.chat_template import ChatTemplate
from polaris.models.checkpoint import read_checkpoint
from polaris.models.model_context import check_context
from polaris.models.prompts import load_tokenizer, messages
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from small_rl.opd_settings import OpdTraining

GIB = 2**30
PROMPTS = 8  # whose tokens are compared
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# Of a student's parameter: fp32 weight, gradient and Adam's two moments, then its copy in the rollout engine.
TRAINED = 16


def check_other_weights(first: Manifest, second: Manifest, why: str) -> None:
    """Raises UserError where two models have the same weights, whatever they are called."""
    if _weights(first) == _weights(second):
        raise UserError(f"{second.path}: its weights are those of {first.path}: {why}")


def _weights(model: Manifest) -> list[str]:
    return sorted(file["xxh3"] for name, file in model.files.items() if name.endswith(".safetensors"))


def check_same_tokens(student: Path, teacher: Path, problems: Sequence[str], instruction: str) -> None:
    """Raises UserError for another vocabulary or chat template: the teacher reads the student's tokens as they are.

    problems: texts, of which the first few are rendered with both templates
    """
    ours, theirs = load_tokenizer(student), load_tokenizer(teacher)
    own, other = ours.get_vocab(), theirs.get_vocab()
    if own != other:
        differ = sorted(token for token in own.keys() | other.keys() if own.get(token) != other.get(token))
        raise UserError(
            f"{teacher}: its tokenizer is another than the student's ({student}): {len(differ)} tokens differ, as "
            f"{differ[0]!r:.40}; on-policy distillation needs a teacher with the student's tokens, traces do not"
        )
    with ChatTemplate(ours) as one, ChatTemplate(theirs) as another:
        for problem in islice(problems, PROMPTS):
            prompt = messages(problem, instruction)
            if one.prompt_tokens(prompt) != another.prompt_tokens(prompt):
                raise UserError(
                    f"{teacher}: its chat template renders a prompt in another way than the student's ({student}), so "
                    "that it would read what it was never trained on; give both the same chat_template.jinja"
                )


def check_memory(settings: OpdTraining, student: Path, read: Mapping[str, Path], free: float | None = None) -> None:
    """Raises UserError where the models cannot fit: of all on a CPU, of each reading one on its GPUs.

    free: bytes; None: of this machine, or of one of its GPUs
    """
    engine = settings.distillation.engine
    weights = {name: read_checkpoint(folder).weights * BYTES[engine.dtype] for name, folder in read.items()}
    if engine.device == "cpu":
        free = psutil.virtual_memory().available if free is None else free
        own = read_checkpoint(student).weights * (TRAINED + BYTES[settings.engine.dtype])
        if own + sum(weights.values()) > free:
            parts = ", ".join(f"{name} {size / GIB:.1f}" for name, size in weights.items())
            raise UserError(
                f"{student}: student {own / GIB:.1f} GiB, {parts}: more than the {free / GIB:.1f} GiB of memory that "
                "are free; take smaller models or a larger machine"
            )
        return
    free = _gpu_memory() if free is None else free
    share = engine.gpu_memory_utilization or 1.0
    for name, size in weights.items():
        if size / settings.read[name] > share * free:
            raise UserError(
                f"{read[name]}: its weights are {size / GIB:.1f} GiB, on {settings.read[name]} GPUs of which "
                f"distillation.engine takes {share * free / GIB:.1f} GiB each; raise its tensor_parallel_size"
            )


def _gpu_memory() -> float:
    import torch

    return float(torch.cuda.get_device_properties(0).total_memory)


def check(settings: OpdTraining, inputs: Mapping[str, Any], problems: Sequence[str]) -> dict[str, Path]:
    """Everything above; the folders of the models that read, by the names of OpdTraining.read.

    inputs: manifests `start`, `teacher` and, where the target has it in it, `base`; problems: their texts
    Raises UserError for the first that does not hold.
    """
    start, teacher = inputs["start"], inputs["teacher"]
    models = {"start": start.model, "teacher": teacher.model}
    check_other_weights(start, teacher, "a teacher that is the student has nothing to teach")
    if settings.distillation.needs_base:
        if "base" not in inputs:
            raise UserError("reward_scale and delta need --base, the manifest of the model that the teacher began as")
        models["base"] = inputs["base"].model
        check_other_weights(inputs["base"], teacher, "the teacher's training changed nothing, and so teaches nothing")
    for name in ("teacher", "base"):
        if name in models:
            check_same_tokens(models["start"], models[name], problems, settings.instruction)
    read = {name: models[name] for name in settings.read}
    for folder in read.values():
        check_context(folder, settings.distillation.engine.max_model_len, "ask for less")
    check_memory(settings, models["start"], read)
    return read
