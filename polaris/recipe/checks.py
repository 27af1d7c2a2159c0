"""What the sections of a recipe must agree on. A check raises ValueError: the key that is to blame, then the reason."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from polaris.hardware.model_shapes import known_shape
from small_rl.settings import BESIDE, FOLDERS

if TYPE_CHECKING:
    from large_sft.settings import LargeSft
    from polaris.recipe.recipe import Recipe
    from small_rl.settings import SmallRl


def parts_are_whole(recipe: Recipe) -> None:
    """A part of the flow has what it works on, and what is given is used."""
    inputs, small, large = recipe.inputs, recipe.small_rl, recipe.large_sft
    finished = small is None and large is not None and large.traces is not None  # the specialist comes from outside
    if (inputs.base_small is None) != (small is None) and not (inputs.base_small and finished):
        absent, given = ("inputs.base_small", "small_rl") if small else ("small_rl", "inputs.base_small")
        raise ValueError(
            f"{absent}: null, but {given} is not; give both, or null for both (a model that is only evaluated belongs "
            f"in inputs.models)"
        )
    if large and inputs.distilled:
        raise ValueError("inputs.distilled: large_sft trains the generalist here; remove one of them")
    makers = {"large_sft": large, "inputs.distilled": inputs.distilled, "merge": recipe.merge}
    if inputs.base_large is None and (given := [key for key, part in makers.items() if part]):
        raise ValueError(f"inputs.base_large: null, but {given[0]} is not, which needs it")
    if inputs.base_large and not (large or inputs.distilled):
        raise ValueError(
            "large_sft: null, but inputs.base_large is not; give inputs.distilled too, a generalist that was trained "
            "elsewhere, or null for inputs.base_large and merge (a student of `opd` alone belongs in inputs.models)"
        )
    if large and large.traces and not recipe.specialist and set(large.prompts) - set(large.specialists):
        raise ValueError(
            "small_rl.specialist: null, but large_sft.traces is not; name the RL stage that writes them, or give null "
            "for small_rl (inputs.base_small writes them) or for large_sft.traces (the worked solutions of "
            "inputs.problems.distill)"
        )
    if large and large.self_distillation and not large.traces:
        raise ValueError("large_sft.self_distillation: true needs large_sft.traces, which is null")
    if not recipe.checkpoints:
        raise ValueError("inputs.models: there is no model; name one, or give inputs.base_small and small_rl")


def models_have_names_of_their_own(recipe: Recipe) -> None:
    """No further model is called like one that the recipe makes."""
    made = [*recipe.specialists, *recipe.generalists, *recipe.alphas.values(), *recipe.opd]
    if taken := [name for name in recipe.inputs.models if name in made]:
        raise ValueError(f"inputs.models.{taken[0]}: a model of this recipe has that name; choose another")


def sections_agree(recipe: Recipe) -> None:
    """Mappings by name have the names that other sections use."""
    _same_keys("inputs.problems", recipe.inputs.problems, dict.fromkeys([*recipe.trained_on, *recipe.studied]))
    _same_keys("clean", recipe.clean, recipe.trained_on)
    _same_keys("evaluate.generate.k", recipe.evaluate.generate.k, recipe.inputs.benchmarks)
    if recipe.large_sft:
        _specialists_exist(recipe, recipe.large_sft)
    small = recipe.small_rl
    if (recipe.inputs.teacher is None) != (small is None or small.teacher is None):
        raise ValueError("inputs.teacher and small_rl.teacher: give both, or null for both")
    if small:
        _small_rl_agrees(recipe, small)


def _specialists_exist(recipe: Recipe, large: LargeSft) -> None:
    """Each of `large_sft.specialists` is a small model of the run, for prompts that are asked."""
    possible = [*recipe.specialists, *recipe.inputs.models]
    for name, model in large.specialists.items():
        where = f"large_sft.specialists.{name}"
        if not large.traces or name not in large.traces.k:
            asked = ", ".join(large.traces.k) if large.traces else "none, traces is null"
            raise ValueError(f"{where}: no prompts of that set are answered (large_sft.traces.k: {asked})")
        if model not in possible:
            raise ValueError(
                f"{where}: {model} is no small model of this run; give one of {' '.join(possible) or 'inputs.models'}"
            )


def _small_rl_agrees(recipe: Recipe, small: SmallRl) -> None:
    _same_keys("small_rl.difficulty.k", small.difficulty.k, ["rl"])
    if small.teacher:
        sets = small.teacher_sets or small.rl_data.consensus == "teacher"
        taught = {"format": small.format_data, "rl": sets or small.teacher_answers}
        if not any(taught.values()):
            raise ValueError("small_rl.teacher: must be null, since no stage uses its answers")
        _same_keys("small_rl.teacher.k", small.teacher.k, [name for name, wanted in taught.items() if wanted])
    if small.probe and (rollouts := small.probe.rollouts):
        _same_keys("small_rl.probe.rollouts.generate.k", rollouts.generate.k, [rollouts.problems])
    for name, stage in small.rl.items():
        if stage.overlap:
            _same_keys(f"small_rl.rl.{name}.overlap.generate.k", stage.overlap.generate.k, ["rl_data"])
        if stage.validation and stage.validation.benchmark not in recipe.inputs.benchmarks:
            raise ValueError(
                f"small_rl.rl.{name}.validate.benchmark: {stage.validation.benchmark} is none of "
                f"inputs.benchmarks; possible: {' '.join(recipe.inputs.benchmarks)}"
            )


def soup_is_of_one_shape(recipe: Recipe) -> None:
    """`merge.soup` names models of the run that have base_large's shape, as far as shapes are known yet."""
    inputs, run = recipe.inputs, Path(f"runs/{recipe.run}")
    small = [name for name in recipe.checkpoints if recipe.source(name) == "base_small"]
    merged = [name for name, folder in recipe.checkpoints.items() if folder.startswith("merged")]
    possible = [name for name in recipe.checkpoints if name not in ("base_large", *small, *merged)]
    for name in recipe.merge.soup.models if recipe.merge and recipe.merge.soup else ():
        if name not in possible:
            known = "has another shape than base_large" if name in small else "is no model to average here"
            raise ValueError(f"merge.soup.models: {name} {known}; possible: {' '.join(possible)}")
        source = recipe.source(name)
        if source != "base_large":
            shapes = [known_shape(inputs.given[stage], run / stage / "model") for stage in ("base_large", source)]
            base, other = (shape.parameters if shape else None for shape in shapes)
            if base and other and base != other:
                raise ValueError(
                    f"merge.soup.models: {name} has {other:,.0f} parameters, base_large {base:,.0f}: only models "
                    "of one shape can be averaged"
                )


def opd_stages_in_order(recipe: Recipe) -> None:
    """An OPD stage has a folder of its own, and names models that exist before it."""
    merges = {name: list(recipe.merged(f"_{name}")) for name in recipe.opd}
    later = {*recipe.opd, *recipe.soups, *(model for names in merges.values() for model in names)}
    possible = [name for name in recipe.checkpoints if name not in later]
    made = {*possible, *FOLDERS, *recipe.rl, *(f"{name}{suffix}" for name in recipe.rl for suffix in BESIDE)}
    for name, stage in recipe.opd.items():
        if not name.isidentifier() or name in made or f"merged_{name}" in made:
            raise ValueError(
                f"opd.{name}: choose another name for this stage: an identifier that is no folder of another stage"
            )
        for key in ("student", "teacher", "teacher_base"):
            model = getattr(stage, key)
            if model is not None and model not in possible:
                known = "is a later stage" if model in later else "is no model of this recipe"
                raise ValueError(f"opd.{name}.{key}: {model} {known}; possible: {' '.join(possible)}")
        if stage.validation and stage.validation.benchmark not in recipe.inputs.benchmarks:
            raise ValueError(
                f"opd.{name}.validate.benchmark: {stage.validation.benchmark} is none of inputs.benchmarks; possible: "
                f"{' '.join(recipe.inputs.benchmarks)}"
            )
        if stage.distillation.use_task_rewards and _gold(recipe, stage.prompts) == "none":
            raise ValueError(
                f"opd.{name}.distillation.use_task_rewards: true, but inputs.problems.{stage.prompts}.gold is none"
            )
        possible += [name, *merges[name]]


def merged_stages_exist(recipe: Recipe) -> None:
    """What is merged with the generalist's base is one of its descendants."""
    after = recipe.merge.after if recipe.merge else []
    for name in after:
        if name not in recipe.opd:
            raise ValueError(f"merge.after: {name} is no stage of opd; possible: {' '.join(recipe.opd) or 'none'}")
        if recipe.source(name) != "base_large":
            raise ValueError(f"merge.after: {name} is no student of base_large's shape, so that they cannot be merged")
    if len(after) != len(set(after)):
        raise ValueError("merge.after: a stage is named twice")


def selection_is_apart(recipe: Recipe) -> None:
    """Alpha is selected on problems that are not reported, and some are reported."""
    benchmarks = recipe.inputs.benchmarks
    for name in recipe.select_on:
        if name not in benchmarks:
            raise ValueError(f"merge.select_on: {name} is none of inputs.benchmarks ({', '.join(benchmarks)})")
        if alike := [other for other in recipe.headline if benchmarks[other] == benchmarks[name]]:
            raise ValueError(
                f"merge.select_on: {name} has the problems of {alike[0]}, which is reported; choose others"
            )
    if not recipe.headline:
        raise ValueError("merge.select_on: names every benchmark; leave at least one out, to be reported")


def passes_are_sampled(recipe: Recipe) -> None:
    """pass@k needs k samples of each problem in every evaluation."""
    evaluations = {"generate": recipe.evaluate.generate} | {
        f"extra_evaluations.{name}": entry for name, entry in recipe.evaluate.extra_evaluations.items()
    }
    for where, samples in ((where, entry.k) for where, entry in evaluations.items()):
        for k in recipe.report.pass_k:
            if few := [name for name in samples if samples[name] < k]:
                raise ValueError(
                    f"report.pass_k: pass@{k} needs {k} samples of each problem; "
                    f"evaluate.{where}.k.{few[0]} is {samples[few[0]]}"
                )


def further_evaluations_are_others(recipe: Recipe) -> None:
    """An extra evaluation is of evaluated models, and differs from the usual one; only it may have a shift."""
    if recipe.evaluate.generate.shift:
        raise ValueError("evaluate.generate.shift: only an entry of evaluate.extra_evaluations may have one")
    for name, entry in recipe.evaluate.extra_evaluations.items():
        _same_keys(f"evaluate.extra_evaluations.{name}.k", entry.k, recipe.inputs.benchmarks)
        if unknown := [model for model in entry.models if model not in recipe.checkpoints]:
            possible = " ".join(recipe.checkpoints)
            raise ValueError(
                f"evaluate.extra_evaluations.{name}.models: {unknown[0]} is no evaluated model; possible: {possible}"
            )
        for key in ("specialist", "base") if entry.shift else ():
            if (model := getattr(entry.shift, key)) not in recipe.checkpoints:
                raise ValueError(
                    f"evaluate.extra_evaluations.{name}.shift.{key}: {model} is no evaluated model; possible: "
                    f"{' '.join(recipe.checkpoints)}"
                )
        if not entry.changes(recipe.evaluate.generate):
            raise ValueError(
                f"evaluate.extra_evaluations.{name}: identical to evaluate.generate; change a setting or remove it"
            )


def large_engine_has_a_model(recipe: Recipe) -> None:
    """Only a recipe with a large model has an engine for it."""
    if recipe.evaluate.large_engine and not recipe.generalists:
        raise ValueError("evaluate.large_engine: must be null, since there is no large model (inputs.base_large: null)")


def graded_problems_have_golds(recipe: Recipe) -> None:
    """What is graded has gold answers: benchmarks, studies, training sets."""
    for name, benchmark in recipe.inputs.benchmarks.items():
        if getattr(benchmark, "gold", "every") != "every":
            raise ValueError(f"inputs.benchmarks.{name}.gold: must be every, since every response is graded")
    for name in recipe.studied:
        gold = getattr(recipe.inputs.problems[name], "gold", "every")
        cleaned = name in recipe.clean and "no_gold" in recipe.clean[name].unsuitable
        if gold == "none" or (gold == "some" and not cleaned):
            raise ValueError(f"inputs.problems.{name}.gold: {gold}, but temperature_search or probe grades all of them")
    large, small = recipe.large_sft, recipe.small_rl
    graded_at_once = {"rl", "format"} if small else set()
    for name in recipe.trained_on:
        gold, rules = getattr(recipe.inputs.problems[name], "gold", "every"), recipe.clean[name].unsuitable
        learned = large is not None and name in large.prompts and large.sft_data.verify == "gold"
        graded = name in graded_at_once or learned
        if gold == "none" and graded:
            why = "" if name in graded_at_once else "with large_sft.sft_data.verify: gold, "
            raise ValueError(f"inputs.problems.{name}.gold: none, but {why}these problems are graded")
        if gold == "none" and "no_gold" in rules:
            raise ValueError(f"clean.{name}.unsuitable: no_gold drops every problem, as their gold is none")
        if gold == "some" and graded and "no_gold" not in rules:
            raise ValueError(f"clean.{name}.unsuitable: no_gold is missing, but only some of these problems have one")


def intervals_have_problems(recipe: Recipe) -> None:
    """An interval is over problems: a benchmark, and a set of a study, has two at least."""
    inputs = recipe.inputs
    sets = {f"benchmarks.{name}": source for name, source in inputs.benchmarks.items()}
    sets |= {f"problems.{name}": inputs.problems[name] for name in recipe.studied}
    for where, source in sets.items():
        for key in ("count", "max_rows"):
            if getattr(source, key, None) == 1:
                raise ValueError(f"inputs.{where}.{key}: 1, but intervals and comparisons need two problems or more")


def _gold(recipe: Recipe, name: str) -> str:
    return getattr(recipe.inputs.problems.get(name), "gold", "every")


def _same_keys(where: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    if set(given) != set(wanted):
        raise ValueError(f"{where}: must have exactly the keys {', '.join(wanted)}, not {', '.join(given)}")


CHECKS = (
    parts_are_whole,
    models_have_names_of_their_own,
    sections_agree,
    soup_is_of_one_shape,
    opd_stages_in_order,
    merged_stages_exist,
    selection_is_apart,
    passes_are_sampled,
    further_evaluations_are_others,
    large_engine_has_a_model,
    graded_problems_have_golds,
    intervals_have_problems,
)
