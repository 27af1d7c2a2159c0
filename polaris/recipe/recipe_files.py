"""A recipe's files as plain values, before any value is checked: overlays, what is like another thing, other seeds."""

from collections.abc import Callable, Collection
from typing import Any

from polaris.recipe.named import merged
from polaris.stage.errors import UserError

BETWEEN_REPLICATES = 1_000_000  # of a seed: no two seeds of one recipe lie so far apart
WITH_DEVICE = {"engine", "large_engine", "vllm", "format_sft", "teacher_sft", "sft"}  # sections with a key `device`
ASKED = ("k", "instruction")  # of a benchmark: how it is asked, which is no property of the set
NO_OWN = {"instructions": {}}
NAMED = {"rl", "opd"}  # sections whose keys are names of stages
SEEDS = ("seed", "sampling_seed")
RL = ("small_rl", "rl")
OPD = ("opd",)
LIKE = {RL: "RL stage", ("clean",): "section of clean", OPD: "RL or OPD stage"}  # entries may be `like` another
OF_RL_ALONE = {"start", "drop_easy", "overlap"}  # what an OPD stage does not take from the RL stage that it is like
SAME_IN_ALL = {"benchmarks", "report"}  # replicates answer the same questions, and are resampled alike


def like_others(values: dict[str, Any], file_of: Callable[[str], str]) -> dict[str, Any]:
    """A copy in which every entry of LIKE with `like: <entry>` has that entry's settings, and over them its own. An OPD
    stage may be like an RL stage, too.

    values: of all files, merged; file_of: the file of a dotted key, for the error. Raises UserError for another name
    and for a circle.
    """
    for section, kind in LIKE.items():
        if entries := mapping_at(values, *section):
            stages = mapping_at(values, *RL) if section == OPD else {}
            others = {name: _without(OF_RL_ALONE, stage) for name, stage in stages.items()}
            values = _placed(values, section, _like_others(entries, others, ".".join(section), kind, file_of))
    return values


def mapping_at(values: Any, *keys: str) -> dict[str, Any]:
    """The mapping under the keys; empty where there is none."""
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def _placed(values: dict[str, Any], place: tuple[str, ...], whole: dict[str, Any]) -> dict[str, Any]:
    """A copy with `whole` at this place."""
    return values | {place[0]: _placed(values[place[0]], place[1:], whole)} if place else whole


def _like_others(
    entries: dict[str, Any], others: dict[str, Any], where: str, kind: str, file_of: Callable[[str], str]
) -> dict[str, Any]:
    """The entries of one section, whole. others: whole ones of another section, which these may be like"""
    whole: dict[str, Any] = {}

    def resolve(name: str, waiting: tuple[str, ...]) -> Any:
        entry = entries.get(name, others.get(name))
        if name in whole or not isinstance(entry, dict) or "like" not in entry:
            return whole.setdefault(name, entry)
        other, waiting = entry["like"], (*waiting, name)
        possible = [one for one, its in (others | entries).items() if isinstance(its, dict) and one not in waiting]
        if other not in possible:
            key = f"{where}.{name}.like"
            wrong = "leads back to it" if other in waiting else f"is no {kind}"
            known = " ".join(possible) or "none"
            raise UserError(f"{file_of(key)}: {key}: {other} {wrong}; possible: {known}")
        whole[name] = merged(resolve(other, waiting), _without({"like"}, entry))
        return whole[name]

    return {name: resolve(name, ()) for name in entries}


def with_further(values: dict[str, Any]) -> dict[str, Any]:
    """A copy in which each of `evaluate.extra_evaluations` has the settings of `evaluate.generate` under its own."""
    evaluate = values.get("evaluate")
    if not isinstance(evaluate, dict):
        return values
    usual, extra = evaluate.get("generate"), evaluate.get("extra_evaluations")
    if not isinstance(usual, dict) or not isinstance(extra, dict):
        return values
    whole = {name: _further(usual, own) if isinstance(own, dict) else own for name, own in extra.items()}
    return values | {"evaluate": evaluate | {"extra_evaluations": whole}}


def _further(usual: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """An entry with another instruction asks every set so, but for those that it names itself."""
    low = usual if own.get("instruction", usual.get("instruction")) == usual.get("instruction") else usual | NO_OWN
    return merged(low, own)


def with_samples(values: dict[str, Any]) -> dict[str, Any]:
    """A copy in which `k` and `instruction`, keys of a benchmark that are no properties of the set, stand with the
    evaluations: for those that do not say how many responses they take, or how they ask. values: whole, without names
    """
    inputs, evaluate = values.get("inputs"), values.get("evaluate")
    if not isinstance(inputs, dict) or not isinstance(evaluate, dict):
        return values
    sets = {kind: inputs[kind] for kind in ("problems", "benchmarks") if isinstance(inputs.get(kind), dict)}
    ks, instructions = ({
        name: one[key]
        for name, one in sets.get("benchmarks", {}).items()
        if isinstance(one, dict) and one.get(key) is not None
    } for key in ASKED)  # fmt: skip
    usual = evaluate.get("generate")

    def filled(section: Any) -> Any:
        if not isinstance(section, dict) or not isinstance(k := section.get("k") or {}, dict):
            return section
        own, stated = {}, section.get("instructions") or {}
        if isinstance(usual, dict) and section.get("instruction") == usual.get("instruction"):
            own = instructions
        return section | {"k": ks | k} | ({"instructions": own | stated} if own and isinstance(stated, dict) else {})

    both = {"generate": filled(usual)} if "generate" in evaluate else {}
    if isinstance(evaluate.get("extra_evaluations"), dict):
        both["extra_evaluations"] = {name: filled(one) for name, one in evaluate["extra_evaluations"].items()}
    plain = {kind: {name: _without(ASKED, one) for name, one in given.items()} for kind, given in sets.items()}
    return values | {"inputs": inputs | plain, "evaluate": evaluate | both}


def _without(keys: Collection[str], one: Any) -> Any:
    return {key: value for key, value in one.items() if key not in keys} if isinstance(one, dict) else one


def without_unused(values: dict[str, Any], stated: Callable[[str], bool]) -> dict[str, Any]:
    """A copy without the training sets of layers below, and their cleaning, for which the recipe has no stage any more.

    stated: whether the recipe itself gives a dotted key; what it gives and does not use is its error
    """
    small, large = values.get("small_rl"), values.get("large_sft")
    used = {"distill"} if large else set()
    if isinstance(small, dict):
        used |= {"rl", *(["format"] if small.get("format_sft") else []), *_studied(small)}

    def kept(section: Any, key: str) -> Any:
        if not isinstance(section, dict):
            return section
        return {name: one for name, one in section.items() if name in used or stated(f"{key}.{name}")}

    inputs = values.get("inputs")
    if isinstance(inputs, dict) and "problems" in inputs:
        values = values | {"inputs": inputs | {"problems": kept(inputs["problems"], "inputs.problems")}}
    return values | ({"clean": kept(values["clean"], "clean")} if "clean" in values else {})


def _studied(small: dict[str, Any]) -> set[str]:
    """Sets of the temperature searches and of the probe."""
    searches = small.get("temperature_search")
    found = (
        [one.get("problems") for one in searches.values() if isinstance(one, dict)]
        if isinstance(searches, dict)
        else []
    )
    rollouts = (small.get("probe") or {}).get("rollouts") if isinstance(small.get("probe"), dict) else None
    found += [rollouts.get("problems")] if isinstance(rollouts, dict) else []
    return {name for name in found if isinstance(name, str)}


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
