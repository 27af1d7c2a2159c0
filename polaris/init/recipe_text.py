"""The text of a recipe that `polaris init` writes: what differs from the shipped one that it extends."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from polaris.hardware.settings import Hardware
from polaris.init.seen import Seen
from polaris.stage.errors import UserError

# Rung of the ladder -> the recipe or the presets that are extended.
RUNGS = {
    "cpu": ["presets/method", "presets/tiny", "presets/try", "presets/no_format"],
    "one_gpu": ["one_gpu"],
    "one_node": ["one_node"],
    "cluster": ["polaris_v2"],
}
TEACHER = ("one_node", "cluster")  # whose recipes have a teacher's answers before RL
SAMPLES = 8  # responses a question of a file, 4 on a CPU


@dataclass(frozen=True)
class Choices:
    """What was asked for.

    generalist: None for none; rung: a key of RUNGS; hardware: None as that recipe has it; instruction: as for hardware
    """

    run: str
    model: Seen
    problems: Seen
    benchmarks: Sequence[Seen]
    generalist: Seen | None
    rung: str
    hardware: Hardware | None
    instruction: str | None


def text(choices: Choices) -> str:
    """YAML with what was found beside what was given. Raises UserError for choices that do not go together."""
    names = [one.name for one in choices.benchmarks]
    if choices.generalist and len(names) < 2:
        raise UserError("--benchmark: give two: alpha is selected on the last one, and reported on the others")
    lower = [f"{choices.rung}_80gb"] if choices.generalist and choices.rung == "one_gpu" else RUNGS[choices.rung]
    if not choices.generalist and choices.rung != "one_gpu":
        lower = [*lower, "presets/no_generalist"]
    lines = [
        f"# By `polaris init`. Every value of the run, and where it stands: polaris recipe {choices.run}.yaml",
        f"extends: [{', '.join(lower)}]",
        f"run: {choices.run}",
        *([f"hardware: {_written(choices.hardware.model_dump())}"] if choices.hardware else []),
        "inputs:",
        f"  base_small: {_line(choices.model)}",
    ]
    lines += [f"  base_large: {_line(choices.generalist)}"] if choices.generalist else []
    lines += ["  problems:", f"    rl: {_line(choices.problems)}"]
    for other in _sets(choices):
        lines.append(f"    {other}: {_written(choices.problems.value)}")
    lines.append("  benchmarks:")
    lines += [f"    - {_benchmark(one, choices.rung)}" for one in choices.benchmarks]
    if choices.model.thinks is False:
        lines.append("gradings: {train: {format: none}} # its tokenizer has no </think> that a response could lack")
    if small := _small_rl(choices):
        lines += ["small_rl:", *(f"  {key}: {_written(value)}" for key, value in small.items())]
    if choices.instruction is not None:
        lines.append(f"evaluate: {{generate: {_written({'instruction': choices.instruction})}}}")
    if choices.generalist:
        lines.append(f"merge: {{select_on: [{names[-1]}]}} # alpha is selected there, and reported on the others")
    lines.append("report: {pass_k: [4], published: null}")
    return "\n".join(lines) + "\n"


def _sets(choices: Choices) -> list[str]:
    """Further sets that are the same problems: those of a teacher's answers, on a CPU the prompts of the traces."""
    taught = ["format"] if choices.rung in TEACHER else []
    return [*taught, *(["distill"] if choices.generalist and choices.rung == "cpu" else [])]


def _small_rl(choices: Choices) -> dict[str, Any]:
    """The curve beside the training on a benchmark that there is, and the instruction of every rollout."""
    curve = {} if choices.rung == "cpu" else {"validate": {"benchmark": choices.benchmarks[0].name}}
    asked = {} if choices.instruction is None else {"instruction": choices.instruction}
    filtered = curve | ({"overlap": {"generate": asked}} if asked else {})
    stages = {name: own for name, own in (("grpo", curve | asked), ("core_filtered", filtered)) if own}
    return ({"difficulty": asked} if asked else {}) | ({"rl": stages} if stages else {})


def _benchmark(one: Seen, rung: str) -> str:
    if isinstance(one.value, str):
        return f"{one.value} # {one.found}"
    value = one.value | {"k": 4 if rung == "cpu" else SAMPLES}
    return f"{one.name}: {_written(value)} # {one.found}"


def _line(one: Seen) -> str:
    return f"{_written(one.value)} # {one.found}"


def _written(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value) and yaml.safe_load(value) == value
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
