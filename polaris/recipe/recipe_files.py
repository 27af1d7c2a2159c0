"""A recipe's files as plain values, before any value is checked: overlays, what is like another thing, other seeds."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from polaris.recipe.named import merged
from polaris.stage.errors import UserError

BETWEEN_REPLICATES = 1_000_000  # of a seed: no two seeds of one recipe lie so far apart
WITH_DEVICE = {"engine", "large_engine", "vllm", "format_sft", "teacher_sft", "sft"}  # sections with a key `device`
NAMED = {"rl", "opd"}  # sections whose keys are names of stages
SEEDS = ("seed", "sampling_seed")
OF_RL_ALONE = {"start", "drop_easy", "overlap"}  # what an OPD stage does not take from the RL stage that it is like
SAME_IN_ALL = {"benchmarks", "report"}  # replicates answer the same questions, and are resampled alike


def like_others(values: dict[str, Any], file_of: Callable[[str], str]) -> dict[str, Any]:
    """A copy in which every RL stage with `like: <stage>` has that stage's settings, and over them its own; an OPD
    stage may be like an RL stage, too.

    values: of all files, merged; file_of: the file of a dotted key, for the error. Raises UserError for another name
    and for a circle.
    """
    section, opd, rl = values.get("small_rl"), values.get("opd"), {}
    if isinstance(section, dict) and isinstance(section.get("rl"), dict):
        rl = _like(section["rl"], {}, "small_rl.rl", "RL", file_of)
        values = values | {"small_rl": section | {"rl": rl}}
    if isinstance(opd, dict):
        others = {name: _without(OF_RL_ALONE, stage) for name, stage in rl.items()}
        values = values | {"opd": _like(opd, others, "opd", "RL or OPD", file_of)}
    return values


def _like(
    stages: dict[str, Any], others: dict[str, Any], where: str, kind: str, file_of: Callable[[str], str]
) -> dict[str, Any]:
    """The stages of one section, whole. others: whole ones of another section, which these may be like"""
    whole: dict[str, Any] = {}

    def resolve(name: str, waiting: tuple[str, ...]) -> Any:
        stage = stages.get(name, others.get(name))
        if name in whole or not isinstance(stage, dict) or "like" not in stage:
            return whole.setdefault(name, stage)
        other, waiting = stage["like"], (*waiting, name)
        possible = [one for one, its in (others | stages).items() if isinstance(its, dict) and one not in waiting]
        if other not in possible:
            key = f"{where}.{name}.like"
            wrong = "leads back to this stage" if other in waiting else f"is no {kind} stage"
            known = " ".join(possible) or "none"
            raise UserError(f"{file_of(key)}: {key}: {other} {wrong}; possible: {known}")
        whole[name] = merged(resolve(other, waiting), _without({"like"}, stage))
        return whole[name]

    return {name: resolve(name, ()) for name in stages}


def with_further(values: dict[str, Any]) -> dict[str, Any]:
    """A copy in which each of `evaluate.extra_evaluations` has the settings of `evaluate.generate` under its own."""
    evaluate = values.get("evaluate")
    if not isinstance(evaluate, dict):
        return values
    usual, extra = evaluate.get("generate"), evaluate.get("extra_evaluations")
    if not isinstance(usual, dict) or not isinstance(extra, dict):
        return values
    whole = {name: merged(usual, own) if isinstance(own, dict) else own for name, own in extra.items()}
    return values | {"evaluate": evaluate | {"extra_evaluations": whole}}


def with_samples(values: dict[str, Any]) -> dict[str, Any]:
    """A copy in which `k`, a key of a benchmark that is no property of the set, stands with the evaluations: for those
    that do not say how many responses they take. values: whole, without names
    """
    inputs, evaluate = values.get("inputs"), values.get("evaluate")
    if not isinstance(inputs, dict) or not isinstance(evaluate, dict):
        return values
    usual = {name: one["k"] for name, one in _items(inputs, "benchmarks") if isinstance(one, dict) and one.get("k")}
    sets = {
        kind: {name: _without({"k"}, one) for name, one in _items(inputs, kind)}
        for kind in ("problems", "benchmarks")
        if isinstance(inputs.get(kind), dict)
    }

    def filled(section: Any) -> Any:
        stated = (section.get("k") or {}) if isinstance(section, dict) else None
        return section | {"k": usual | stated} if isinstance(stated, dict) else section

    both = {key: filled(evaluate[key]) for key in ("generate",) if key in evaluate}
    if isinstance(evaluate.get("extra_evaluations"), dict):
        both["extra_evaluations"] = {name: filled(one) for name, one in evaluate["extra_evaluations"].items()}
    return values | {"inputs": inputs | sets, "evaluate": evaluate | both}


def _items(inputs: dict[str, Any], kind: str) -> Iterable[tuple[str, Any]]:
    return inputs[kind].items() if isinstance(inputs.get(kind), dict) else ()


def _without(keys: Collection[str], one: Any) -> Any:
    return {key: value for key, value in one.items() if key not in keys} if isinstance(one, dict) else one


def of_replicate(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the seeds of their replicate."""
    replicate = values.get("replicate")
    return _reseeded(values, BETWEEN_REPLICATES * replicate) if isinstance(replicate, int) else values


def as_written(values: dict[str, Any]) -> dict[str, Any]:
    """The values whose seeds are those of a replicate, with the seeds that make it of them again."""
    return _reseeded(values, -BETWEEN_REPLICATES * values["replicate"])


def _reseeded(values: Any, by: int) -> Any:
    """A copy in which every seed of data, training and sampling is larger by so much."""
    if isinstance(values, list):
        return [_reseeded(one, by) for one in values]
    if not isinstance(values, dict):
        return values
    return {
        key: value
        if key in SAME_IN_ALL
        else value + by
        if key in SEEDS and isinstance(value, int)
        else _reseeded(value, by)
        for key, value in values.items()
    }


def on_device(values: Any, device: str) -> Any:
    """A copy in which every section that runs an engine says where; one that says so itself keeps its own device."""
    if isinstance(values, list):
        return [on_device(one, device) for one in values]
    if not isinstance(values, dict):
        return values
    return {
        key: {"device": device, **on_device(value, device)}
        if key in WITH_DEVICE and isinstance(value, dict)
        else value
        if key == "inputs"  # nothing there runs, and a model may be called like a section
        else {name: on_device(stage, device) for name, stage in value.items()}
        if key in NAMED and isinstance(value, dict)  # so may a stage
        else on_device(value, device)
        for key, value in values.items()
    }
