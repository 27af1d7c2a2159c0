"""What the stages of a recipe cost on this machine's processors: tokens, hours of one core, and what is left of a run.

The processor is measured when the plan is made (a product of matrices); what training and generation reach of that was
measured once, with SmolLM2-135M (docs/study/smollm2.md). Finished stages say how this machine, with whatever else it
does, compares: what is left is scaled by them.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np

from polaris.generation.settings import Engine, Generate
from polaris.hardware.model_shapes import known_shape
from polaris.hardware.shapes import Shape
from polaris.planning.known import Known
from polaris.planning.plan_time import Range, ranged
from polaris.recipe.machine import MIB, memory_mb, needed_mb
from polaris.recipe.recipe import Recipe
from polaris.stage.errors import UserError
from polaris.stage.terminal import NONE, table
from small_rl.format_settings import FormatSft
from small_rl.opd_settings import OpdStage
from small_rl.rl_settings import RlTraining

TRAINING: Range = (0.5, 0.8)  # share of the measured product; SmolLM2 in float32: 0.72
DECODING: Range = (0.25, 0.45)  # in float32, prompts included: 0.35
HALF = 1.7  # times as fast in bfloat16, where the processor has instructions for it
HALVES = ("avx512_bf16", "amx_bf16")
DECODING_STEP: Range = (0.005, 0.02)  # seconds beside the products, however small the model is
SHIFT_STEP: Range = (0.001, 0.002)  # the same of a token and small model of a logit shift; measured: 1.1 ms
# Seconds until an engine works and until it has ended, and of an RL step beside products: the laptop recipe's stages.
STARTS = {"vllm": (10.0, 40.0), "sft": (25.0, 60.0), "rl": (60.0, 150.0), "megatron": (20.0, 50.0)}
RL_STEP: Range = (2.0, 10.0)
PROMPT: Range = (0.4, 0.7)  # tokens of a prompt as a share of max_prompt_length
EXAMPLE: Range = (0.4, 0.7)  # of an example, of max_tokens
DISK: Range = (0.3e9, 1.5e9)  # bytes a second that a checkpoint is written with
STATE = 16  # bytes a parameter of RL's: weights, two moments, a copy
SIZE, TIMES = 768, 20  # of the product that is measured, and how often it is made


@dataclass(frozen=True)
class Work:
    """A stage. tokens: made or trained on; seconds: of one core; measured: wall time of the finished stage, or None."""

    stage: str
    tokens: Range
    seconds: Range
    measured: float | None


def processor_speed() -> float:
    """Floating point operations that one core does in a second of its time, in a product of float32 matrices."""
    square = np.ones((SIZE, SIZE), np.float32)
    best = 0.0
    for _ in range(3):
        started = time.process_time()
        for _ in range(TIMES):
            square @ square
        best = max(best, 2 * TIMES * SIZE**3 / (time.process_time() - started))
    return best


def has_half(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for bfloat16."""
    return cpuinfo.exists() and any(flag in cpuinfo.read_text() for flag in HALVES)


class CpuPlanner:
    """The stages of a recipe with `device: cpu`. speed: as `processor_speed`; half: as `has_half`"""

    def __init__(self, recipe: Recipe, run: Path, speed: float, half: bool):
        self.recipe, self.known, self.speed, self.half = recipe, Known(recipe, run), speed, half
        self.shapes: dict[str, Shape] = {}
        for stage, source in recipe.inputs.given.items():
            if (shape := known_shape(source, run / stage / "model")) is None:
                raise UserError(f"inputs.{stage}: its shape is known once it is fetched")
            self.shapes[stage] = shape

    def stages(self) -> Iterator[Work]:
        """Every stage that computes with a model, in the order of the flow."""
        recipe, small, large = self.recipe, self.recipe.small_rl, self.recipe.large_sft
        if small:
            if small.format_sft:
                yield self._format("format_sft", "format", small.format_sft)
            if small.teacher_sft:
                yield self._format("teacher_sft", "rl", small.teacher_sft)
            yield self._generate("difficulty", "base_small", small.difficulty, self.known.problems("rl"))
            for name, stage in small.rl.items():
                if stage.overlap:
                    rows = self.known.rows("rl_data") or self.known.problems("rl")
                    yield self._generate(f"{name}_rollouts", "base_small", stage.overlap.generate, rows)
                yield self._rl(name, stage)
        for folder, (_, writer, sets) in recipe.traces.items():
            assert large
            responses = sum(large.traces_to(sets).k[name] * self.known.problems(name) for name in sets)
            once = large.traces_to(sets).model_copy(update={"k": {"all": 1}})
            yield self._generate(folder, self.recipe.source(writer), once, responses)
        for arm in recipe.arms if large else ():
            yield self._distilled(f"distilled{arm}", f"traces{arm}")
        for name, stage in recipe.opd.items():
            yield self._opd(name, stage)
        problems = {name: self.known.counted(one, name) for name, one in recipe.inputs.benchmarks.items()}
        for name, (checkpoint, section) in recipe.evaluations.items():
            own = self.recipe.source(checkpoint)
            responses = sum(k * problems[which] for which, k in section.k.items())
            once = section.model_copy(update={"k": {"all": 1}})
            yield self._shifted(self._generate(f"responses/{name}", own, once, responses), section)

    def disk(self) -> float:
        """Bytes: the weights of every model in float32, and the two checkpoints that verl keeps of an RL stage."""
        kept = sum(4.0 * self.shapes[self.recipe.source(name)].parameters for name in self.recipe.checkpoints)
        return kept + (2.0 * STATE * self.shapes["base_small"].parameters if self.recipe.rl else 0.0)

    def memory(self) -> int:
        """MiB of the stage that takes most."""
        sizes = {stage: shape.parameters for stage, shape in self.shapes.items()}
        taken = [needed_mb("vllm", max(sizes.values()))]
        if self.recipe.rl or self.recipe.opd:
            taken.append(needed_mb("rl", sizes["base_small"]))
        if self.recipe.large_sft:
            taken.append(needed_mb("megatron", sizes["base_large"]))
        return max(taken)

    def _work(self, stage: str, tokens: Range, seconds: Range) -> Work:
        return Work(stage, tokens, seconds, self.known.seconds(stage))

    def _decoding(self, shape: Shape, engine: Engine, tokens: Range) -> Range:
        """Seconds in which one engine makes so many tokens."""
        faster = HALF if engine.dtype == "bfloat16" and self.half else 1.0
        flops = 2 * shape.active / (self.speed * faster)
        low = tokens[0] * (flops / DECODING[1] + DECODING_STEP[0] / engine.max_num_seqs)
        return low, tokens[1] * (flops / DECODING[0] + DECODING_STEP[1] / engine.max_num_seqs)

    def _generate(self, stage: str, own: str, section: Generate, problems: float) -> Work:
        responses = problems * sum(section.k.values())
        tokens = ranged(lambda mean: responses * mean, self.known.lengths(stage, section.sampling.max_tokens))
        seconds = self._decoding(self.shapes[own], section.engine, tokens)
        return self._work(stage, tokens, ranged(sum_of, STARTS["vllm"], seconds))

    def _shifted(self, one: Work, section: Generate) -> Work:
        """With a logit shift: each token read once more by two small models, one response at a time."""
        for name in (section.shift.specialist, section.shift.base) if section.shift else ():
            products = 2 * self.shapes[self.recipe.source(name)].active / self.speed
            low, high = (step + products / share for step, share in zip(SHIFT_STEP, DECODING[::-1], strict=True))
            reading = one.tokens[0] * low, one.tokens[1] * high
            one = replace(one, seconds=ranged(sum_of, one.seconds, reading))
        return one

    def _training(self, shape: Shape, tokens: Range, passes: float) -> Range:
        """passes: forward passes that the work is worth, 3 for forward and backward."""
        flops = ranged(lambda number: passes * number * 2 * shape.active, tokens)
        return flops[0] / (self.speed * TRAINING[1]), flops[1] / (self.speed * TRAINING[0])

    def _format(self, stage: str, problems: str, section: FormatSft) -> Work:
        examples = section.epochs * self.known.problems(problems)
        tokens = ranged(lambda share: examples * share * section.max_tokens, EXAMPLE)
        seconds = self._training(self.shapes["base_small"], tokens, 3)
        return self._work(stage, tokens, ranged(sum_of, STARTS["sft"], seconds))

    def _opd(self, name: str, stage: OpdStage) -> Work:
        """As RL of the student, and the responses once through each model that reads them."""
        learned, teacher = self._rl(name, stage, self.recipe.source(stage.student)), self.recipe.source(stage.teacher)
        read = self._training(self.shapes[teacher], learned.tokens, len(stage.read))
        return replace(learned, seconds=ranged(sum_of, learned.seconds, read, *[STARTS["vllm"]] * len(stage.read)))

    def _rl(self, name: str, stage: RlTraining, own: str = "base_small") -> Work:
        """Rollouts, old log-probabilities and update of each step, checkpoints; evaluations in between are rollouts."""
        shape, responses = self.shapes[own], stage.steps * stage.prompts_per_step * stage.group_size
        evaluated = 0.0
        if stage.validation:
            times = len({*range(0, stage.steps, stage.validation.every), stage.steps})
            counted = self.known.counted(self.recipe.inputs.benchmarks[stage.validation.benchmark], "benchmark")
            evaluated = times * stage.validation.k * counted
        mean = self.known.lengths("difficulty", stage.max_response_length)
        made = ranged(lambda length: (responses + evaluated) * length, mean)
        trained = ranged(lambda length, prompt: responses * (length + prompt * stage.max_prompt_length), mean, PROMPT)
        saved = STATE * shape.parameters * stage.steps / stage.save_every
        beside = ranged(lambda start, step: start + stage.steps * step, STARTS["rl"], RL_STEP)
        parts = (self._decoding(shape, stage.engine, made), self._training(shape, trained, 4), beside)
        return self._work(name, trained, ranged(sum_of, *parts, (saved / DISK[1], saved / DISK[0])))

    def _distilled(self, stage: str, traces: str) -> Work:
        large = self.recipe.large_sft
        assert large
        k = large.traces.k if large.traces else {}
        examples = large.sft.epochs * sum(self.known.problems(name) * k.get(name, 1) for name in large.prompts)
        tokens = ranged(lambda share: examples * share * large.sft_data.max_tokens, EXAMPLE)
        return self._work(
            stage, tokens, ranged(sum_of, STARTS["megatron"], self._training(self.shapes["base_large"], tokens, 3))
        )


def sum_of(*parts: float) -> float:
    return sum(parts)


def left(works: list[Work]) -> tuple[Range, float | None]:
    """Core seconds of what has not finished, and by how much the finished stages differ from the middle of their plan,
    which it is scaled by; None where nothing has finished.
    """
    waiting = [one.seconds for one in works if one.measured is None]
    low, high = sum(one[0] for one in waiting), sum(one[1] for one in waiting)
    planned = sum(sqrt(one.seconds[0] * one.seconds[1]) for one in works if one.measured is not None)
    if not planned:
        return (low, high), None
    factor = sum(one.measured for one in works if one.measured is not None) / planned
    return (low * factor, high * factor), factor


def beside(needed: int, cores: int, memory: int) -> int:
    """How many stages run side by side: two, where there is a core and memory for both. needed, memory: MiB"""
    return max(1, min(2, cores, memory // needed))


def memory_line(needed: int, memory: int) -> str:
    """needed: MiB of the largest stage; memory: MiB of this machine"""
    room = f"memory: a stage takes up to {needed * MIB / 1e9:.1f} GB of this machine's {memory * MIB / 1e9:.1f} GB"
    return room if memory >= needed else f"{room}, which may end it; take a smaller model or a larger machine"


def lines(recipe: Recipe, run: Path) -> list[str]:
    """The plan, as `polaris plan` prints it. Raises UserError for a model whose shape is not known."""
    speed, half, cores, memory = processor_speed(), has_half(), os.cpu_count() or 1, memory_mb()
    planner = CpuPlanner(recipe, run, speed, half)
    works = list(planner.stages())
    rows = [["stage", "tokens", "minutes of a core", "took, minutes"]]
    for one in works:
        took = NONE if one.measured is None else f"{one.measured / 60:.1f}"
        rows.append([one.stage, _range(one.tokens), _range(ranged(lambda seconds: seconds / 60, one.seconds)), took])
    (low, high), factor = left(works)
    seen = f", scaled by {factor:.2g}, as finished stages took" if factor else ""
    instructions = "has" if half else "has no"
    hours = ranged(lambda seconds: seconds / 3600, (low, high))
    needed = planner.memory()
    if (side := beside(needed, cores, memory)) > 1:
        wall = f"between {_number(hours[0] / side)} and {_number(hours[1])} hours, as stages side by side allow"
    else:
        wall = "as long, one stage at a time"
    return [
        *table(rows),
        "",
        f"a core: {speed / 1e9:.0f} GFLOP/s in float32; it {instructions} instructions for bfloat16",
        f"disk: {_number(planner.disk() / 1e9)} GB",
        memory_line(needed, memory),
        f"left: {_range(hours)} hours of one core{seen}; on {cores} cores {wall}",
    ]


def _range(given: Range) -> str:
    low, high = (_number(value) for value in given)
    return low if low == high else f"{low}-{high}"


def _number(value: float) -> str:
    """Two digits that count."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"
