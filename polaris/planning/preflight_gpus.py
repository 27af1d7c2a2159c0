"""The GPU part of `polaris preflight`: each tool's own interpreter, on this node, against what its stages ask for."""

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from polaris.generation.settings import Generate
from polaris.hardware.memory import GIB, total
from polaris.planning.planned import Planned
from polaris.planning.tool_check import Seen
from polaris.recipe.recipe import Recipe
from polaris.stage.nodes import interpreter
from polaris.stage.terminal import NONE, table

LIMIT = 600  # seconds for the imports of one tool, from a network file system
# What has to be importable: the engine, and what it needs on GPUs and imports only then.
MODULES = {
    "rl": ("torch", "vllm", "verl", "transfer_queue", "flash_attn"),
    "vllm": ("torch", "vllm"),
    "megatron": ("torch", "megatron.core"),
    "merge": ("torch",),
}


@dataclass(frozen=True)
class Wanted:
    """What the stages of a tool ask of one node. memory: bytes of the fullest GPU, as planned."""

    modules: tuple[str, ...]
    gpus: int
    memory: float


def wanted(recipe: Recipe, stages: list[Planned]) -> dict[str, Wanted]:
    """By tool, those that the recipe uses."""
    small, large = recipe.small_rl, recipe.large_sft
    trainings = [one for one in (small.format_sft, small.teacher_sft, *small.rl.values()) if one] if small else []
    engines = [section.engine for section in generating(recipe)]
    engines += [large.gate.vllm] if large and large.gate.vllm else []
    asked = [one.gpus_per_node for one in trainings] + [one.all_gpus_per_node for one in recipe.opd.values()]
    gpus = {"rl": max(asked)} if asked else {}
    gpus |= {"vllm": max(one.gpus_per_node for one in engines)}
    if large:
        gpus |= {"megatron": large.sft.layout.gpus_per_node}
    if recipe.merge:
        gpus |= {"merge": 0}
    memory = {"rl": _fullest(stages, {"format_sft", "teacher_sft", *recipe.rl, *recipe.opd})}
    memory |= {"megatron": _fullest(stages, {f"distilled{arm}" for arm in recipe.arms})}
    modules = dict(MODULES)
    if large and large.sft.transformer_impl == "transformer_engine":
        modules["megatron"] += ("transformer_engine",)
    return {tool: Wanted(modules[tool], count, memory.get(tool, 0.0)) for tool, count in gpus.items()}


def generating(recipe: Recipe) -> list[Generate]:
    """Every section that starts a vLLM engine of its own."""
    small, large = recipe.small_rl, recipe.large_sft
    sections: list[Generate | None] = []
    if small:
        sections += [small.teacher, small.difficulty]
        sections += [one.overlap.generate for one in small.rl.values() if one.overlap]
        sections += [search.at(search.grid[0]) for search in small.temperature_search.values()]
        sections += [small.probe.rollouts.generate] if small.probe and small.probe.rollouts else []
    sections += [section for _, section in recipe.evaluations.values()]
    sections += [large.traces] if large else []
    return [section for section in sections if section]


def _fullest(stages: list[Planned], names: set[str]) -> float:
    return max((total(one.parts) for one in stages if one.name in names), default=0.0)


def check(recipe: Recipe, wanted: Mapping[str, Wanted]) -> tuple[list[str], list[str]]:
    """A table of what was found, a line per tool, and a sentence for each thing that would stop a stage."""
    pythons = recipe.interpreters.model_dump()
    commands = {tool: interpreter(pythons[tool], recipe.environment) for tool in wanted}
    with ThreadPoolExecutor() as pool:
        seen = dict(zip(wanted, pool.map(lambda tool: _look(commands[tool], wanted[tool]), wanted), strict=True))
    rows = [["tool", "python", "glibc", "torch", "CUDA", "driver", "GPUs", "GiB", "capability", "cannot import"]]
    rows += [_row(tool, one) for tool, one in seen.items()]
    sentences = [f"interpreters.{tool}: {text}" for tool, one in seen.items() for text in wrong(one, wanted[tool])]
    return table(rows), sentences


def _look(command: str, wanted: Wanted) -> Seen | str:
    """What the interpreter says, or why it says nothing."""
    words = [*shlex.split(command), "-m", "polaris.planning.tool_check", *wanted.modules]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=True)
        return Seen(**json.loads(done.stdout))
    except subprocess.CalledProcessError as error:
        return f"{command} failed: {(error.stderr.strip().splitlines() or ['it said nothing'])[-1]}"
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return f"{command} does not start with polaris installed ({error})"


def _row(tool: str, seen: Seen | str) -> list[str]:
    if isinstance(seen, str):
        return [tool, *[NONE] * 9]
    memory = f"{seen.memory:.1f}" if seen.memory else NONE
    shown = (seen.python, seen.glibc, seen.torch, seen.cuda, seen.driver, str(seen.gpus), memory, seen.capability)
    return [tool, *(one or NONE for one in shown), " ".join(seen.missing) or NONE]


def wrong(seen: Seen | str, wanted: Wanted) -> Iterator[str]:
    """What would stop a stage of this tool on a node like this one."""
    if isinstance(seen, str):
        yield seen
        return
    yield from (f"{module} cannot be imported ({why})" for module, why in seen.missing.items())
    if not wanted.gpus:
        return
    if seen.refusal:
        yield seen.refusal
        return
    if seen.gpus < wanted.gpus:
        yield f"{seen.gpus} GPUs on this node, its stages ask for {wanted.gpus}"
    if not seen.compiler:
        yield "no C compiler (gcc) on this node: Triton builds its launchers with one while a stage runs"
    if not seen.covered:
        yield f"torch {seen.torch} has no kernels for a GPU of compute capability {seen.capability}"
    if seen.memory * GIB < wanted.memory:
        need = f"its fullest stage is planned with {wanted.memory / GIB:.1f}"
        yield f"GPUs of {seen.memory:.1f} GiB, {need} (polaris plan)"
