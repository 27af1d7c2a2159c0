"""What the sections of a recipe must agree on. A check raises ValueError: the key that is to blame, then the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polaris.recipe.recipe import Recipe


def generalist_is_whole(recipe: Recipe) -> None:
    parts = {
        "inputs.base_large": recipe.inputs.base_large,
        "small_rl.specialist": recipe.small_rl.specialist,
        "large_sft": recipe.large_sft,
        "merge": recipe.merge,
    }
    absent = [key for key, value in parts.items() if value is None]
    if absent and len(absent) < len(parts):
        given = [key for key in parts if key not in absent]
        raise ValueError(f"{absent[0]}: null, but {given[0]} is not; give {', '.join(parts)}, or null for all of them")


def sections_agree(recipe: Recipe) -> None:
    _same_keys("inputs.problems", recipe.inputs.problems, dict.fromkeys([*recipe.trained_on, *recipe.small_rl.studied]))
    _same_keys("clean", recipe.clean, recipe.trained_on)
    _same_keys("evaluate.generate.k", recipe.evaluate.generate.k, recipe.inputs.benchmarks)
    _same_keys("small_rl.difficulty.k", recipe.small_rl.difficulty.k, ["rl"])
    if recipe.large_sft:
        _same_keys("large_sft.traces.k", recipe.large_sft.traces.k, ["distill"])
    if (recipe.inputs.teacher is None) != (recipe.small_rl.teacher is None):
        raise ValueError("inputs.teacher and small_rl.teacher: give both, or null for both")
    if recipe.small_rl.teacher:
        sets = recipe.small_rl.teacher_sets or recipe.small_rl.rl_data.consensus == "teacher"
        taught = {"format": recipe.small_rl.format_data, "rl": sets or recipe.small_rl.teacher_answers}
        if not any(taught.values()):
            raise ValueError("small_rl.teacher: must be null, since no stage uses its answers")
        _same_keys("small_rl.teacher.k", recipe.small_rl.teacher.k, [name for name, wanted in taught.items() if wanted])
    if recipe.small_rl.probe and (rollouts := recipe.small_rl.probe.rollouts):
        _same_keys("small_rl.probe.rollouts.generate.k", rollouts.generate.k, [rollouts.problems])
    for name, stage in recipe.small_rl.rl.items():
        if stage.overlap:
            _same_keys(f"small_rl.rl.{name}.overlap.generate.k", stage.overlap.generate.k, ["rl_data"])
        if stage.validation and stage.validation.benchmark not in recipe.inputs.benchmarks:
            raise ValueError(
                f"small_rl.rl.{name}.validate.benchmark: {stage.validation.benchmark} is none of "
                f"inputs.benchmarks; possible: {' '.join(recipe.inputs.benchmarks)}"
            )


def selection_is_apart(recipe: Recipe) -> None:
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
    evaluations = {"generate": recipe.evaluate.generate} | {
        f"extra_evaluations.{name}": entry for name, entry in recipe.evaluate.extra_evaluations.items()
    }
    for where, samples in ((where, entry.k) for where, entry in evaluations.items()):
        for k in recipe.report.pass_k:
            if few := [name for name in samples if samples[name] < k]:
                raise ValueError(
                    f"report.pass_k: pass@{k} needs {k} samples of each problem; evaluate"
                    f".{where}.k.{few[0]} is {samples[few[0]]}"
                )


def further_evaluations_are_others(recipe: Recipe) -> None:
    for name, entry in recipe.evaluate.extra_evaluations.items():
        _same_keys(f"evaluate.extra_evaluations.{name}.k", entry.k, recipe.inputs.benchmarks)
        if unknown := [model for model in entry.models if model not in recipe.checkpoints]:
            possible = " ".join(recipe.checkpoints)
            raise ValueError(
                f"evaluate.extra_evaluations.{name}.models: {unknown[0]} is no evaluated model; possible: {possible}"
            )
        if not entry.changes(recipe.evaluate.generate):
            raise ValueError(
                f"evaluate.extra_evaluations.{name}: identical to evaluate.generate; change a setting or remove it"
            )


def large_engine_has_a_model(recipe: Recipe) -> None:
    if recipe.evaluate.large_engine and not recipe.large_sft:
        raise ValueError("evaluate.large_engine: must be null, since large_sft is null and there is no large model")


def graded_problems_have_golds(recipe: Recipe) -> None:
    for name, benchmark in recipe.inputs.benchmarks.items():
        if getattr(benchmark, "gold", "every") != "every":
            raise ValueError(f"inputs.benchmarks.{name}.gold: must be every, since every response is graded")
    for name in recipe.small_rl.studied:
        gold = getattr(recipe.inputs.problems[name], "gold", "every")
        cleaned = name in recipe.clean and "no_gold" in recipe.clean[name].unsuitable
        if gold == "none" or (gold == "some" and not cleaned):
            raise ValueError(f"inputs.problems.{name}.gold: {gold}, but temperature_search or probe grades all of them")
    for name in recipe.trained_on:
        gold, rules = getattr(recipe.inputs.problems[name], "gold", "every"), recipe.clean[name].unsuitable
        graded = name != "distill" or (recipe.large_sft and recipe.large_sft.sft_data.verify == "gold")
        if gold == "none" and graded:
            why = "with large_sft.sft_data.verify: gold, " if name == "distill" else ""
            raise ValueError(f"inputs.problems.{name}.gold: none, but {why}these problems are graded")
        if gold == "none" and "no_gold" in rules:
            raise ValueError(f"clean.{name}.unsuitable: no_gold drops every problem, as their gold is none")
        if gold == "some" and graded and "no_gold" not in rules:
            raise ValueError(f"clean.{name}.unsuitable: no_gold is missing, but only some of these problems have one")


def intervals_have_problems(recipe: Recipe) -> None:
    """An interval is over problems: a benchmark, and a set of a study, has two at least."""
    inputs = recipe.inputs
    sets = {f"benchmarks.{name}": source for name, source in inputs.benchmarks.items()}
    sets |= {f"problems.{name}": inputs.problems[name] for name in recipe.small_rl.studied}
    for where, source in sets.items():
        for key in ("count", "max_rows"):
            if getattr(source, key, None) == 1:
                raise ValueError(f"inputs.{where}.{key}: 1, but intervals and comparisons need two problems or more")


def _same_keys(where: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    if set(given) != set(wanted):
        raise ValueError(f"{where}: must have exactly the keys {', '.join(wanted)}, not {', '.join(given)}")


CHECKS = (
    generalist_is_whole,
    sections_agree,
    selection_is_apart,
    passes_are_sampled,
    further_evaluations_are_others,
    large_engine_has_a_model,
    graded_problems_have_golds,
    intervals_have_problems,
)
