"""What each stage of a recipe needs of GPUs, disk and time: arithmetic on the recipe's values, nothing is run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from large_sft.settings import LargeSft, Sft
from polaris.generation.settings import Engine, Generate
from polaris.models.checkpoint import CONFIG, read_config
from polaris.models.settings import HubModel, LocalModel, Model, TinyModel
from polaris.planning import plan_memory, plan_model, planned_layouts
from polaris.planning.plan_memory import GIB, Parts, total
from polaris.planning.plan_model import Shape
from polaris.planning.plan_time import DENSE_TRAINING, READING, Decoding, Gpu, Range, training_seconds
from polaris.recipe.recipe import Recipe
from polaris.stage import manifest
from polaris.stage.errors import UserError
from small_rl.format_settings import FormatSft
from small_rl.settings import RlStage
from small_rl.study_settings import TEACHER_STAGES

# Mean length of a response as a share of max_tokens, where the run has not measured it: a guess.
MEAN_LENGTH: Range = (0.25, 0.5)
PROMPT = 300  # tokens; small beside a response
# About so many rows have the training sets of which a recipe takes all, by their cards.
ROWS = {
    "inclusionAI/AReaL-boba-Data": 106_000,
    "POLARIS-Project/Polaris-Dataset-53K": 53_000,
}


@dataclass(frozen=True)
class Planned:
    """One stage. Ranges are (lowest, highest).

    jobs: alike, of this rule; gpus: that work in one; parts: bytes on the fullest GPU; tokens, flops: of all jobs;
    seconds: of one job; published, scratch: bytes on disk, kept and removed at the end; host: bytes per node; notes:
    what a person should know; wrong: what cannot work; measured: seconds that a finished one took
    """

    name: str
    rule: str
    gpus: int
    parts: Parts
    tokens: Range
    flops: Range
    seconds: Range
    published: float
    scratch: float
    host: float
    notes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    measured: float | None = None
    jobs: int = 1

    @property
    def stage(self) -> str:
        """The first folder of its jobs: responses of `responses (large)`, temperature of `temperature/first`."""
        return self.name.split()[0].split("/")[0]


def _alone(rule: str) -> int:
    return 1


class Planner:
    """The stages of one recipe on one kind of GPU.

    run: folder whose finished stages say what is otherwise assumed; nodes: of one job of a generating rule, which works
    on all that it gets
    """

    def __init__(self, recipe: Recipe, gpu: Gpu, run: Path, nodes: Callable[[str], int] = _alone):
        self.recipe, self.gpu, self.run, self.nodes = recipe, gpu, run, nodes
        self.small = self._shape("base_small", recipe.inputs.base_small)
        self.large = recipe.inputs.base_large and self._shape("base_large", recipe.inputs.base_large)

    def stages(self) -> Iterator[Planned]:
        """Every stage that needs a GPU, and the models' copies, in the order of the flow."""
        small, recipe = self.recipe.small_rl, self.recipe
        yield self._model("base_small", "models", self.small)
        if self.large:
            yield self._model("base_large", "models", self.large)
        if recipe.inputs.teacher:
            teacher = self._shape("teacher_model", recipe.inputs.teacher)
            yield self._model("teacher_model", "models", teacher)
            for name, k in small.teacher.k.items():
                stage, asked = TEACHER_STAGES[name], {"k": {name: k}}
                section = small.teacher.model_copy(update=asked)
                yield self._generate(stage, "teacher_responses", teacher, section, self._problems(name))
        if small.format_sft:
            yield self._sft_of("format_sft", "format", small.format_sft)
        if small.teacher_sft:
            yield self._sft_of("teacher_sft", "rl", small.teacher_sft)
        yield from self._searches()
        yield self._generate("difficulty", "difficulty", self.small, small.difficulty, self._problems("rl"))
        for name, stage in small.rl.items():
            if stage.overlap:
                rows = self._rows("rl_data", "problems") or self._problems("rl")
                yield self._generate(f"{name}_rollouts", "rl_rollouts", self.small, stage.overlap.generate, rows)
            yield self._rl(name, stage)
        if small.probe and (rollouts := small.probe.rollouts):
            problems = self._problems(rollouts.problems)
            yield self._generate("probe_rollouts", "probe_rollouts", self.small, rollouts.generate, problems)
        if recipe.large_sft:
            yield from self._gate(recipe.large_sft)
            for arm, writer in recipe.arms.items():
                shape, traces = self.large if writer == "base_large" else self.small, f"traces{arm}"
                yield self._generate(traces, "traces", shape, recipe.large_sft.traces, self._problems("distill"))
                yield self._sft(f"distilled{arm}", traces, recipe.large_sft.sft)
                merged = [folder for folder in recipe.checkpoints.values() if folder.startswith(f"merged{arm}/")]
                yield replace(self._model(f"merged{arm}", "merged", self.large), jobs=len(merged))
        problems = sum(self._count(source) for source in recipe.inputs.benchmarks.values()) / len(
            recipe.inputs.benchmarks
        )
        ways = {"": list(recipe.checkpoints)}
        ways |= {f"@{name}": entry.models for name, entry in recipe.evaluate.extra_evaluations.items()}
        for way, models in ways.items():
            small = [name for name in models if name in recipe.specialists]
            large = [name for name in models if name not in small]
            for shape, mine, label in ((self.small, small, "small"), (self.large, large, "large")):
                if mine:
                    _, asked = recipe.evaluations[f"{mine[0]}{way}"]
                    name, like = f"responses ({label}{way})", f"responses/{mine[0]}{way}"
                    yield _jobs(self._generate(name, "responses", shape, asked, problems, like), len(mine))

    def _searches(self) -> Iterator[Planned]:
        """Responses at every temperature of each search."""
        for name, search in self.recipe.small_rl.temperature_search.items():
            problems, first = self._problems(search.problems), search.grid[0]
            like, rule = f"temperature/{name}/T={first:.2f}", "responses_at_temperature"
            one = self._generate(f"temperature/{name}", rule, self.small, search.at(first), problems, like)
            yield _jobs(one, len(search.grid))

    def _gate(self, large: LargeSft) -> Iterator[Planned]:
        """The conversion gate and what it is held against: weights are read, a few prompts are no work."""
        weights, none = self.large.weights, (0.0, 0.0)
        reading = weights / READING[1], weights / READING[0]
        if engine := large.gate.vllm:
            _, parts, wrong = self._engine(self.large, engine, 1)
            one = self._trained("conversion_reference", engine.gpus, parts, none, none, reading, 0.0, 0.0, 0.0)
            yield replace(one, wrong=one.wrong + wrong)
        layout, training = large.sft.layout, planned_layouts.of(self.large, large.sft)
        world = layout.gpus_per_node * layout.nodes
        parts = {name: training[name] for name in ("weights", "other")}
        # Read into the layout, and once more for the digests; without vLLM, transformers holds the model on one host.
        host = 0.0 if engine else weights
        yield self._trained("conversion", world, parts, none, none, _times(2, reading), 0.0, 0.0, host)

    def _shape(self, stage: str, source: Model) -> Shape:
        """From the table of published models, else from the fetched or local config.json. Raises UserError."""
        if isinstance(source, TinyModel):
            raise UserError(f"inputs.{stage}: a tiny model runs on a CPU; there is no GPU to plan for")
        folder = source.path if isinstance(source, LocalModel) else self.run / stage / "model"
        if isinstance(source, HubModel) and source.hub in plan_model.KNOWN:
            return plan_model.KNOWN[source.hub]
        try:
            return plan_model.from_config(read_config(folder), str(folder / CONFIG))
        except UserError as error:
            raise UserError(f"inputs.{stage}: its shape is not known ({error}); run its stage first") from None

    def _count(self, source: object) -> float:
        """Problems of a set. Raises UserError when it takes all rows of a set of unknown size."""
        if (
            found := getattr(source, "max_rows", None)
            or getattr(source, "count", None)
            or ROWS.get(getattr(source, "hub", ""))
        ):
            return float(found)
        raise UserError(f"{source!r}: how many problems this has is not known before its stage has run; give `count`")

    def _problems(self, name: str) -> float:
        return self._rows(f"problems/{name}", "problems") or self._count(self.recipe.inputs.problems[name])

    def _made(self, stage: str) -> manifest.Manifest | None:
        try:
            return next(manifest.read(p) for p in (self.run / stage).glob("*.json") if p.stem in ("data", "checkpoint"))
        except (StopIteration, UserError):
            return None

    def _rows(self, stage: str, metric: str) -> float | None:
        made = self._made(stage)
        value = made.metrics.get(metric) if made else None
        return float(value) if isinstance(value, (int, float)) else None

    def _lengths(self, stage: str, longest: int) -> Range:
        """Mean tokens of a response: measured by the stage, else assumed."""
        made = self._made(stage)
        sets = made.metrics.get("sets") if made else None
        if sets:
            mean = sum(s["mean_tokens"] * s["responses"] for s in sets.values()) / sum(
                s["responses"] for s in sets.values()
            )
            return mean, mean
        return MEAN_LENGTH[0] * longest, MEAN_LENGTH[1] * longest

    def _model(self, name: str, rule: str, shape: Shape) -> Planned:
        none = (0.0, 0.0)
        return Planned(name, rule, 0, {}, none, none, none, shape.weights, 0.0, 0.0)

    def _engine(self, shape: Shape, engine: Engine, engines: int) -> tuple[Decoding, Parts, tuple[str, ...]]:
        parts = plan_memory.vllm(shape, engine.gpus, self.gpu.memory, engine.gpu_memory_utilization)
        need, wrong = plan_memory.cache(shape, engine) * engine.max_model_len, ()
        if parts["KV cache"] < need:
            left, full = parts["KV cache"] / GIB, need / GIB
            room = f"engine: {left:.1f} GiB of a GPU are left for KV cache"
            wrong = (
                (
                    f"{room}, one response of max_model_len ({engine.max_model_len}) needs {full:.1f}; raise "
                    "tensor_parallel_size or pipeline_parallel_size"
                ),
            )
        return Decoding(shape, self.gpu, engine, engines), parts, wrong

    def _generate(
        self, name: str, rule: str, shape: Shape, section: Generate, problems: float, like: str = ""
    ) -> Planned:
        """like: the folder of the stage that measured the lengths, where it is not called `name`."""
        longest, engine, nodes = section.sampling.max_tokens, section.engine, self.nodes(rule)
        engines = max(1, nodes * engine.replicas // engine.nodes)
        decoding, parts, wrong = self._engine(shape, engine, engines)
        if nodes % engine.nodes:
            wrong = (
                *wrong,
                f"engine: it takes {engine.nodes} nodes, the profile reserves {nodes}, no multiple of them",
            )
        mean = self._lengths(like or name, longest)
        responses = problems * sum(section.k.values())
        tokens = _times(responses, mean)
        flops = tuple(t * shape.forward_flops(m) for t, m in zip(tokens, mean, strict=True))
        seconds = decoding.seconds(responses, mean, longest)
        text, made = 4.0 * tokens[1], self._made(like or name)  # bytes
        return Planned(
            name, rule, engine.gpus * engines, parts, tokens, flops, seconds, text, text, 0.0, wrong=wrong,
            measured=made.seconds if made else None,
        )  # fmt: skip

    def _sft_of(self, name: str, problems: str, settings: FormatSft) -> Planned:
        examples = self._problems(problems)
        tokens = tuple(share * settings.max_tokens * examples * settings.epochs for share in MEAN_LENGTH)
        parts = plan_memory.fsdp(self.small, settings.gpus_per_node, settings.micro_batch * settings.max_tokens)
        flops = tuple(3 * t * self.small.forward_flops(settings.max_tokens / 2) for t in tokens)
        seconds = training_seconds(flops, settings.gpus_per_node, self.gpu, DENSE_TRAINING)
        size = self.small.parameters
        return self._trained(
            name, settings.gpus_per_node, parts, tokens, flops, seconds, 2.0 * size, 2 * 14.0 * size, 4.0 * size
        )

    def _rl(self, name: str, stage: RlStage) -> Planned:
        gpus = stage.nodes * stage.gpus_per_node
        decoding, rollout, wrong = self._engine(self.small, stage.engine, gpus // stage.engine.tensor_parallel_size)
        parts = plan_memory.fsdp(self.small, gpus, stage.max_tokens_per_gpu) | {"rollouts": plan_memory.ASLEEP}
        mean = tuple(share * stage.max_response_length for share in MEAN_LENGTH)
        responses = stage.prompts_per_step * stage.group_size
        tokens = tuple(stage.steps * responses * m for m in mean)
        # One pass for the old log-probabilities, one forward and backward.
        flops = tuple(4 * t * self.small.forward_flops(m + PROMPT) for t, m in zip(tokens, mean, strict=True))
        low, high = decoding.seconds(responses, mean, stage.max_response_length)
        update = training_seconds(flops, gpus, self.gpu, DENSE_TRAINING)
        seconds = stage.steps * low + update[0], stage.steps * high + update[1]
        if stage.validation:
            evaluations = len({*range(0, stage.steps, stage.validation.every), stage.steps})
            asked = stage.validation.k * self._count(self.recipe.inputs.benchmarks[stage.validation.benchmark])
            low, high = decoding.seconds(asked, mean, stage.max_response_length)
            seconds = seconds[0] + evaluations * low, seconds[1] + evaluations * high
            tokens = tuple(t + evaluations * asked * m for t, m in zip(tokens, mean, strict=True))
        size = self.small.parameters
        # verl keeps two checkpoints, of weights and both moments in fp32 and a Hugging Face copy.
        planned = self._trained(name, gpus, parts, tokens, flops, seconds, 2.0 * size, 2 * 16.0 * size, 4.0 * size)
        awake = plan_memory.beside_rollouts(self.small, gpus, self.gpu.memory, stage.engine.gpu_memory_utilization)
        if total(awake) > self.gpu.memory:
            sizes = ", ".join(f"{part} {size / GIB:.1f}" for part, size in awake.items())
            beside = (
                f"{total(awake) / GIB:.1f} GiB per GPU while the rollout engine is awake, it has "
                f"{self.gpu.memory / GIB:.1f}"
            )
            wrong = (*wrong, f"needs {beside}: {sizes}; lower engine.gpu_memory_utilization")
        note = (
            f"rollouts: {rollout['weights'] / GIB:.0f} GiB weights, {rollout['KV cache'] / GIB:.0f} GiB KV cache; "
            f"with the actor beside them {total(awake) / GIB:.1f} GiB"
        )
        return replace(planned, rule="rl", notes=(note,), wrong=planned.wrong + wrong)

    def _sft(self, name: str, traces: str, settings: Sft) -> Planned:
        shape, world = self.large, settings.layout.gpus_per_node * settings.layout.nodes
        parts = planned_layouts.of(shape, settings)
        mean = self._lengths(traces, self.recipe.large_sft.traces.sampling.max_tokens)
        longest = self.recipe.large_sft.sft_data.max_tokens
        responses = self._problems("distill") * sum(self.recipe.large_sft.traces.k.values())
        tokens = tuple(settings.epochs * responses * min(m, longest) for m in mean)
        flops = tuple(3 * t * shape.forward_flops(min(m, longest)) for t, m in zip(tokens, mean, strict=True))
        efficiency = planned_layouts.efficiency(settings) if shape.experts else DENSE_TRAINING
        seconds = training_seconds(flops, world, self.gpu, efficiency)
        size, host = shape.parameters, settings.layout.gpus_per_node * 2 * settings.shard_gb * 1e9
        # A checkpoint is written beside the last one: bf16 weights, fp32 weights and both moments.
        planned = self._trained(name, world, parts, tokens, flops, seconds, 2.0 * size, 2 * 14.0 * size, host)
        share = "expected share of the peak (MFU): {:.0%} to {:.0%}".format(*efficiency)
        planned = replace(planned, rule="distilled", notes=(share,))
        if refused := planned_layouts.refusal(shape, settings):
            planned = replace(planned, wrong=(*planned.wrong, refused))
        return replace(planned, notes=planned_layouts.others(shape, settings, self.gpu)) if planned.wrong else planned

    def _trained(self, name: str, gpus: int, parts: Parts, tokens: Range, flops: Range, seconds: Range,
                 published: float, scratch: float, host: float) -> Planned:  # fmt: skip
        need, made, wrong = total(parts), self._made(name), ()
        if need > self.gpu.memory:
            sizes = ", ".join(f"{part} {size / GIB:.1f}" for part, size in parts.items())
            wrong = (f"needs {need / GIB:.1f} GiB per GPU, it has {self.gpu.memory / GIB:.1f}: {sizes}",)
        measured = made.seconds if made else None
        return Planned(
            name, name, gpus, parts, tokens, flops, seconds, published, scratch, host, wrong=wrong, measured=measured
        )


def _jobs(one: Planned, count: int) -> Planned:
    return replace(one, jobs=count, tokens=_times(count, one.tokens), flops=_times(count, one.flops))


def _times(factor: float, given: Range) -> Range:
    return factor * given[0], factor * given[1]
