"""What each stage of a recipe needs of GPUs, disk and time: arithmetic on the recipe's values, nothing is run."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from large_sft.settings import LargeSft, Sft
from polaris.generation.settings import Engine, Generate
from polaris.hardware import fastest, layouts, memory
from polaris.hardware.gpus import Gpu
from polaris.hardware.memory import GIB, Parts, total
from polaris.hardware.shapes import Shape
from polaris.planning import stored
from polaris.planning.known import MEAN_LENGTH, End, Known
from polaris.planning.plan_time import DENSE_TRAINING, READING, Decoding, ranged, training_seconds
from polaris.planning.planned import Planned
from polaris.planning.planned_opd import with_teachers
from polaris.planning.planned_shift import with_shift
from polaris.recipe.recipe import Recipe
from small_rl.format_settings import FormatSft
from small_rl.rl_settings import RlTraining
from small_rl.settings import SmallRl
from small_rl.study_settings import TEACHER_STAGES

LABELS = {"base_small": "small", "base_large": "large"}  # of models by the shape that they have
REFERENCE = "conversion_reference"
PROMPT = 300  # tokens; small beside a response


class Planner:
    """The stages of one recipe on one kind of GPU.

    run: folder whose finished stages say what is otherwise assumed; nodes: of one job of a generating rule, which works
    on all that it gets; end: of the ranges of what is not known, which `known.guessed` then names
    """

    def __init__(self, recipe: Recipe, gpu: Gpu, run: Path, nodes: Callable[[str], int] = lambda rule: 1, end: End = 0):
        self.recipe, self.gpu, self.known, self.nodes = recipe, gpu, Known(recipe, run, end), nodes
        self.shapes = {stage: self.known.shape(stage, source) for stage, source in recipe.inputs.given.items()}
        self.large = self.shapes.get("base_large")

    @property
    def small(self) -> Shape:
        """Of the specialist, in a recipe that has one."""
        return self.shapes["base_small"]

    def stages(self) -> Iterator[Planned]:
        """Every stage that needs a GPU, and the models' copies, in the order of the flow."""
        recipe = self.recipe
        yield from (self._model(stage, "models", shape) for stage, shape in self.shapes.items())
        yield from self._specialist(recipe.small_rl) if recipe.small_rl else ()
        yield from self._generalist(self.large) if self.large else ()
        for name, stage in recipe.opd.items():
            yield with_teachers(self._rl(name, stage, self._shape(stage.student)), stage, self._shape, self.gpu)
        yield from self._evaluations()

    def _specialist(self, small: SmallRl) -> Iterator[Planned]:
        """From the teacher's answers to the last RL stage, and the probe."""
        recipe = self.recipe
        if recipe.inputs.teacher and small.teacher:
            teacher = self.known.shape("teacher_model", recipe.inputs.teacher)
            yield self._model("teacher_model", "models", teacher)
            for name, k in small.teacher.k.items():
                stage = TEACHER_STAGES[name]
                section = small.teacher.model_copy(update={"k": {name: k}})
                yield self._generate(stage, "teacher_responses", teacher, section, self.known.problems(name))
        if small.format_sft:
            yield self._format_sft("format_sft", "format", small.format_sft)
        if small.teacher_sft:
            yield self._format_sft("teacher_sft", "rl", small.teacher_sft)
        yield from self._searches(small)
        yield self._generate("difficulty", "difficulty", self.small, small.difficulty, self.known.problems("rl"))
        for name, stage in small.rl.items():
            if stage.overlap:
                rows = self.known.rows("rl_data") or self.known.problems("rl")
                yield self._generate(f"{name}_rollouts", "rl_rollouts", self.small, stage.overlap.generate, rows)
            yield self._rl(name, stage, self.small)
        if small.probe and (rollouts := small.probe.rollouts):
            problems = self.known.problems(rollouts.problems)
            yield self._generate("probe_rollouts", "probe_rollouts", self.small, rollouts.generate, problems)

    def _generalist(self, large: Shape) -> Iterator[Planned]:
        """The gate, and the traces and the training of each arm, and all merges."""
        recipe, section = self.recipe, self.recipe.large_sft
        if section:
            yield from self._gate(section)
        for folder, (_, writer, sets) in recipe.traces.items():
            assert section
            asked = section.traces_to(sets)
            prompts = sum(self.known.problems(name) * k for name, k in asked.k.items()) / sum(asked.k.values())
            yield self._generate(folder, "traces", self._shape(writer), asked, prompts)
        for arm in recipe.arms:
            if section:
                yield self._sft(f"distilled{arm}", f"traces{arm}", section.sft)
        written = recipe.sweeps if recipe.merge and recipe.merge.keep != "none" else ()
        for sweep in (sweep for sweep in written if recipe.merged(sweep)):
            yield self._model(f"merged{sweep}", "merged", large, len(recipe.merged(sweep)))

    def _evaluations(self) -> Iterator[Planned]:
        """Responses to the benchmarks: of the small models, of the large ones, and those of each extra evaluation."""
        recipe, benchmarks = self.recipe, self.recipe.inputs.benchmarks
        problems = sum(map(self._benchmark, benchmarks)) / len(benchmarks)
        ways = {"": list(recipe.checkpoints)}
        ways |= {f"@{name}": entry.models for name, entry in recipe.evaluate.extra_evaluations.items()}
        for way, models in ways.items():
            groups: dict[str, list[str]] = {}
            for name in models:
                groups.setdefault(recipe.source(name), []).append(name)
            for source, mine in groups.items():
                shape, label = self.shapes[source], LABELS.get(source, source)
                _, section = recipe.evaluations[f"{mine[0]}{way}"]
                name, like = f"responses ({label}{way})", f"responses/{mine[0]}{way}"
                one = self._generate(name, "responses", shape, section, problems, like)
                asked = problems * sum(section.k.values())
                yield with_shift(one, section, asked, self._shape, self.gpu).times(len(mine))

    def _searches(self, small: SmallRl) -> Iterator[Planned]:
        """Responses at every temperature of each search."""
        for name, search in small.temperature_search.items():
            problems, first = self.known.problems(search.problems), search.grid[0]
            like, rule = f"temperature/{name}/T={first:.2f}", "responses_at_temperature"
            one = self._generate(f"temperature/{name}", rule, self.small, search.at(first), problems, like)
            yield one.times(len(search.grid))

    def _gate(self, large: LargeSft) -> Iterator[Planned]:
        """The conversion gate and what it is held against: weights are read, a few prompts are no work."""
        assert self.large
        weights, sft = self.large.weights, large.sft
        reading = weights / READING[1], weights / READING[0]
        if engine := large.gate.vllm:
            _, parts, wrong = self._engine(self.large, engine, 1)
            one = Planned(name=REFERENCE, rule=REFERENCE, gpus=engine.gpus, parts=parts, seconds=reading, wrong=wrong)
            yield self._checked(one)
        # Read into the layout, and once more for the digests.
        seconds = ranged(lambda once: 2 * once, reading)
        training, gpus = layouts.of(self.large, sft), sft.layout.gpus_per_node * sft.layout.nodes
        parts = {name: training[name] for name in ("weights", "other")}  # and no gradient
        # Without vLLM, transformers holds the model on one host.
        host = 0.0 if engine else weights
        conversion = Planned(name="conversion", rule="conversion", gpus=gpus, parts=parts, seconds=seconds, host=host)
        yield self._checked(conversion)

    def _model(self, name: str, rule: str, shape: Shape, jobs: int = 1) -> Planned:
        return Planned(name=name, rule=rule, jobs=jobs, published=shape.weights)

    def _engine(self, shape: Shape, engine: Engine, engines: int) -> tuple[Decoding, Parts, tuple[str, ...]]:
        """Its speed, its memory, and why it cannot work. engines: side by side."""
        parts = memory.vllm(shape, engine.gpus, self.gpu.memory, memory.share(engine))
        need, wrong = memory.cache(shape, engine) * engine.max_model_len, ()
        if parts["KV cache"] < need:
            left, full = parts["KV cache"] / GIB, need / GIB
            reason = (
                f"engine: {left:.1f} GiB of a GPU are left for KV cache, one response of max_model_len "
                f"({engine.max_model_len}) needs {full:.1f}; raise tensor_parallel_size or pipeline_parallel_size"
            )
            wrong = (reason,)
        return Decoding(shape, self.gpu, engine, engines), parts, wrong

    def _generate(
        self, name: str, rule: str, shape: Shape, section: Generate, problems: float, like: str = ""
    ) -> Planned:
        """like: the folder of the stage that measured the lengths, where it is not called `name`."""
        longest, engine, nodes = section.sampling.max_tokens, section.engine, self.nodes(rule)
        engines = max(1, nodes * engine.replicas // engine.nodes)
        decoding, parts, wrong = self._engine(shape, engine, engines)
        if nodes % engine.nodes:
            reason = f"engine: it takes {engine.nodes} nodes, the profile reserves {nodes}, no multiple of them"
            wrong = (*wrong, reason)
        mean, responses = self.known.lengths(like or name, longest), problems * sum(section.k.values())
        tokens = ranged(lambda length: responses * length, mean)
        text = 4.0 * tokens[1]  # bytes
        return Planned(
            name=name,
            rule=rule,
            gpus=engine.gpus * engines,
            parts=parts,
            tokens=tokens,
            flops=ranged(lambda number, length: number * shape.forward_flops(length), tokens, mean),
            seconds=decoding.seconds(responses, mean, longest),
            published=text,
            scratch=text,
            wrong=wrong,
            measured=self.known.seconds(like or name),
        )

    def _format_sft(self, name: str, problems: str, settings: FormatSft) -> Planned:
        """Plain SFT of the small model, at most `max_tokens` of an example."""
        small, gpus = self.small, settings.gpus_per_node
        most = settings.max_tokens * self.known.problems(problems) * settings.epochs
        tokens = ranged(lambda share: share * most, MEAN_LENGTH)
        flops = ranged(lambda number: 3 * number * small.forward_flops(settings.max_tokens / 2), tokens)
        return self._checked(
            Planned(
                name=name,
                rule=name,
                gpus=gpus,
                parts=memory.fsdp(small, gpus, settings.micro_batch * settings.max_tokens),
                tokens=tokens,
                flops=flops,
                seconds=training_seconds(flops, gpus, self.gpu, DENSE_TRAINING),
                published=2.0 * small.parameters,
                scratch=2 * 14.0 * small.parameters,
                host=4.0 * small.parameters,
            )
        )

    def _shape(self, model: str) -> Shape:
        """Of a model of the recipe, by its name."""
        return self.shapes[self.recipe.source(model)]

    def _rl(self, name: str, stage: RlTraining, small: Shape) -> Planned:
        """Rollouts, old log-probabilities and update of each step, and the evaluations between them."""
        gpus, longest = stage.nodes * stage.gpus_per_node, stage.max_response_length
        decoding, rollout, wrong = self._engine(small, stage.engine, gpus // stage.engine.tensor_parallel_size)
        responses = stage.prompts_per_step * stage.group_size
        mean = ranged(lambda share: share * longest, MEAN_LENGTH)
        tokens = ranged(lambda length: stage.steps * responses * length, mean)
        # One pass for the old log-probabilities, one forward and backward.
        flops = ranged(lambda number, length: 4 * number * small.forward_flops(length + PROMPT), tokens, mean)
        update = training_seconds(flops, gpus, self.gpu, DENSE_TRAINING)
        rollouts = decoding.seconds(responses, mean, longest)
        seconds = ranged(lambda step, updates: stage.steps * step + updates, rollouts, update)
        if stage.validation:
            evaluations = len({*range(0, stage.steps, stage.validation.every), stage.steps})
            per_evaluation = stage.validation.k * self._benchmark(stage.validation.benchmark)
            evaluation = decoding.seconds(per_evaluation, mean, longest)
            seconds = ranged(lambda training, once: training + evaluations * once, seconds, evaluation)
            tokens = ranged(lambda trained, length: trained + evaluations * per_evaluation * length, tokens, mean)
        awake = memory.beside_rollouts(small, gpus, self.gpu.memory, memory.share(stage.engine))
        if total(awake) > self.gpu.memory:
            reason = self._too_large(awake, " while the rollout engine is awake")
            wrong = (*wrong, f"{reason}; lower engine.gpu_memory_utilization")
        note = (
            f"rollouts: {rollout['weights'] / GIB:.0f} GiB weights, {rollout['KV cache'] / GIB:.0f} GiB KV cache; "
            f"with the actor beside them {total(awake) / GIB:.1f} GiB"
        )
        kept = stored.of_step(stage, mean)
        return self._checked(
            Planned(
                name=name,
                rule="rl",
                gpus=gpus,
                parts=memory.fsdp(small, gpus, stage.max_tokens_per_gpu) | {"rollouts": memory.ASLEEP},
                tokens=tokens,
                flops=flops,
                seconds=seconds,
                published=2.0 * small.parameters + stage.steps * kept[1],
                # verl keeps two checkpoints, of weights and both moments in fp32 and a Hugging Face copy.
                scratch=2 * 16.0 * small.parameters,
                host=4.0 * small.parameters,
                notes=(note, *stored.note(stage, kept)),
                wrong=wrong,
            )
        )

    def _sft(self, name: str, traces: str, settings: Sft) -> Planned:
        """The generalist's training on all traces, each cut at the longest that is kept."""
        shape, large, layout = self.large, self.recipe.large_sft, settings.layout
        assert shape and large
        world, longest = layout.gpus_per_node * layout.nodes, large.sft_data.max_tokens
        written = large.traces.sampling.max_tokens if large.traces else longest
        mean = ranged(lambda length: min(length, longest), self.known.lengths(traces, written))
        k = large.traces.k if large.traces else {}
        examples = sum(self.known.problems(name) * k.get(name, 1) for name in large.prompts)
        tokens = ranged(lambda length: settings.epochs * examples * length, mean)
        flops = ranged(lambda number, length: 3 * number * shape.forward_flops(length), tokens, mean)
        efficiency = fastest.efficiency(settings) if shape.experts else DENSE_TRAINING
        refused = layouts.refusal(shape, settings)
        planned = self._checked(
            Planned(
                name=name,
                rule="distilled",
                gpus=world,
                parts=layouts.of(shape, settings),
                tokens=tokens,
                flops=flops,
                seconds=training_seconds(flops, world, self.gpu, efficiency),
                published=2.0 * shape.parameters,
                # A checkpoint is written beside the last one: bf16 weights, fp32 weights and both moments.
                scratch=2 * 14.0 * shape.parameters,
                host=layout.gpus_per_node * 2 * settings.shard_gb * 1e9,
                notes=("expected share of the peak (MFU): {:.0%} to {:.0%}".format(*efficiency),),
                wrong=(refused,) if refused else (),
            )
        )
        return replace(planned, notes=layouts.others(shape, settings, self.gpu)) if planned.wrong else planned

    def _benchmark(self, name: str) -> float:
        """Problems of a benchmark."""
        return self.known.counted(self.recipe.inputs.benchmarks[name], f"inputs.benchmarks.{name}")

    def _checked(self, one: Planned) -> Planned:
        """With the time that it took, where it has run, and a reason where a GPU has no room for it."""
        wrong = one.wrong if total(one.parts) <= self.gpu.memory else (self._too_large(one.parts), *one.wrong)
        return replace(one, wrong=wrong, measured=self.known.seconds(one.name))

    def _too_large(self, parts: Parts, when: str = "") -> str:
        sizes = ", ".join(f"{part} {size / GIB:.1f}" for part, size in parts.items())
        return f"needs {total(parts) / GIB:.1f} GiB per GPU{when}, it has {self.gpu.memory / GIB:.1f}: {sizes}"
