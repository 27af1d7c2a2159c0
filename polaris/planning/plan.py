"""`polaris plan`: what a recipe asks of a cluster before a GPU is booked, and a refusal where it cannot work."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from polaris.hardware.gpus import GPUS, Gpu
from polaris.hardware.memory import GIB, TIGHT, total
from polaris.hardware.settings import gpu_of
from polaris.planning import effects, plan_cpu, slurm_profile
from polaris.planning.input_checks import folders_of, refusals
from polaris.planning.plan_profile import Profile
from polaris.planning.plan_time import NO_WORK, Range, ranged
from polaris.planning.planned import Planned
from polaris.planning.planned_range import planned_stages
from polaris.recipe.layers import SHIPPED
from polaris.recipe.recipe import Recipe, load
from polaris.report.settings import Plan, PlannedStage
from polaris.stage.errors import UserError
from polaris.stage.manifest import replace_file
from polaris.stage.settings import read_section
from polaris.stage.suggestions import suggestion
from polaris.stage.terminal import NONE, say, say_json, table

KEPT = "plan.json"  # in the run's folder


def scheduled(one: Planned, profile: Profile, limits: dict[str, float]) -> Planned:
    """The stage, with what of the profile does not suit it. limits: stage -> seconds after which the verb stops a
    launch.
    """
    reserved, notes, wrong = profile.reserved(one.rule), list(one.notes), list(one.wrong)
    if one.gpus:
        if reserved.gpus < one.gpus:
            wrong.append(f"works on {one.gpus} GPUs, the profile reserves {reserved.gpus}")
        elif reserved.gpus > one.gpus:
            notes.append(f"works on {one.gpus} of the {reserved.gpus} reserved GPUs")
        if reserved.cpus is not None and reserved.cpus * reserved.nodes < reserved.gpus:
            wrong.append(
                f"gets {reserved.cpus} processors beside {reserved.gpus // reserved.nodes} GPUs on a node; set "
                "cpus_per_task in the profile (-1 where the site gives them with the GPUs)"
            )
        slot = min(reserved.seconds, limits.get(one.stage, reserved.seconds))
        low, high = (seconds / slot for seconds in one.seconds)
        if math.isinf(reserved.seconds) and high > 1:  # nobody counts the tries
            notes.append(
                f"up to {high:.1f} launches of {slot / 3600:.0f} h, its timeout: start the run again after each"
            )
        elif low > reserved.attempts:
            wrong.append(
                f"takes at least {low:.1f} times the limit of {slot / 3600:.0f} h; the profile tries "
                f"{reserved.attempts} times"
            )
        elif high > 1:
            notes.append(
                f"up to {high:.1f} times the limit of {slot / 3600:.0f} h; the profile tries {reserved.attempts} times"
            )
        if one.host > reserved.memory:
            wrong.append(
                f"needs {one.host / 1e9:.0f} GB of a node's memory, the profile gives {reserved.memory / 1e9:.0f}"
            )
    return replace(one, notes=tuple(notes), wrong=tuple(wrong))


def limits(recipe: Recipe) -> dict[str, float]:
    """Seconds after which a training verb stops its engine, by stage."""
    large = {f"distilled{arm}": recipe.large_sft.sft for arm in recipe.arms} if recipe.large_sft else {}
    small = recipe.small_rl
    supervised = {"format_sft": small.format_sft, "teacher_sft": small.teacher_sft} if small else {}
    stages = {**supervised, **recipe.rl, **recipe.opd, **large}
    return {name: stage.timeout for name, stage in stages.items() if stage}


def lines(planned: Sequence[Planned], profile: Profile, gpu: Gpu, price: float | None) -> list[str]:
    """The tables, the sums, the notes."""
    rows = [
        ["stage", "jobs", "GPUs", "tokens", "FLOP", "hours of one", "measured", "GPU hours", "published", "scratch"]
    ]
    gpu_hours = NO_WORK
    for one in planned:
        booked = _booked(one, profile)
        gpu_hours = ranged(lambda hours, more: hours + more, gpu_hours, booked)
        measured = NONE if one.measured is None else f"{one.measured / 3600:.1f}"
        hours = _range(ranged(lambda seconds: seconds / 3600, one.seconds))
        sizes = (_bytes(one.jobs * one.published), _bytes(one.scratch))
        reserved = profile.reserved(one.rule).gpus if one.gpus else 0
        rows.append(
            [
                one.name,
                str(one.jobs),
                str(reserved or NONE),
                _range(one.tokens),
                _range(one.flops),
                hours,
                measured,
                _range(booked),
                *sizes,
            ]
        )
    text = table(rows)
    names = ("weights", "gradients", "optimizer", "activations", "logits", "KV cache", "rollouts", "other")
    memory = [["GiB on one GPU", *names, "sum", "of", "verdict"]]
    for one in planned:
        if one.parts:
            sizes = [f"{one.parts[name] / GIB:.1f}" if name in one.parts else NONE for name in names]
            memory.append(
                [one.name, *sizes, f"{total(one.parts) / GIB:.1f}", f"{gpu.memory / GIB:.1f}", _verdict(one, gpu)]
            )
    text += ["", *table(memory), ""]
    text += [f"{one.name}: {note}" for one in planned for note in one.notes]
    kept, largest = disk(planned)
    text += [
        "",
        f"disk: {_bytes(kept)} stay, at most {_bytes(kept + largest.scratch)} while {largest.name} runs",
        f"GPU hours: {_range(gpu_hours)}",
    ]
    if price is not None:
        text.append(f"price at {price:g} per GPU hour: {_range(ranged(lambda hours: price * hours, gpu_hours))}")
    return text


def disk(planned: Sequence[Planned]) -> tuple[float, Planned]:
    """Bytes that stay, and the stage with the largest scratch beside them."""
    return sum(one.jobs * one.published for one in planned), max(planned, key=lambda one: one.scratch)


def room(planned: Sequence[Planned], run: Path) -> str | None:
    """That the run's disk is too small, where it is, and what may be left out."""
    kept, largest = disk(planned)
    folder = next(path for path in (run.absolute(), *run.absolute().parents) if path.exists())
    if (free := shutil.disk_usage(folder).free) >= kept + largest.scratch:
        return None
    rl = any(one.rule == "rl" for one in planned)
    less = "; `rollout_store: 8` keeps 8 groups of a step's rollouts, `null` none" if rl else ""
    return f"disk: {_bytes(free)} are free in {folder}: make room there, or run it elsewhere{less}"


def _booked(one: Planned, profile: Profile) -> Range:
    """GPU hours that the jobs of a stage hold, working or not."""
    gpus = profile.reserved(one.rule).gpus if one.gpus else 0
    low, high = (one.jobs * gpus * seconds / 3600 for seconds in one.seconds)
    return low, high


def _verdict(one: Planned, gpu: Gpu) -> str:
    """Of the memory alone; a vLLM engine fills its share with KV cache, whatever is left for that."""
    if total(one.parts) > gpu.memory or one.parts.get("KV cache", 1.0) <= 0:
        return "too large"
    return "tight" if "KV cache" not in one.parts and total(one.parts) > TIGHT * gpu.memory else "fits"


def _range(given: Range) -> str:
    low, high = (_number(value) for value in given)
    return low if low == high else f"{low}-{high}"


def _number(value: float) -> str:
    """Two digits that count: 0.05, 3.2, 48, 1.9e+03 as 1900, more as 2.6e9."""
    if value == 0:
        return NONE
    if value >= 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def _bytes(value: float) -> str:
    return NONE if value == 0 else f"{value / 1e12:.1f} TB" if value >= 1e12 else f"{value / 1e9:.1f} GB"


def keep(planned: Sequence[Planned], profile: Profile, gpu: str, run: Path) -> None:
    """Write what the report puts beside the measured times of the run in this folder."""
    stages = {}
    for stage in dict.fromkeys(one.stage for one in planned):
        mine = [one for one in planned if one.stage == stage]
        stages[stage] = PlannedStage(
            jobs=sum(one.jobs for one in mine),
            gpus=profile.reserved(mine[0].rule).gpus if mine[0].gpus else 0,
            hours=(_hours(mine, 0), _hours(mine, 1)),
            bytes=sum(one.jobs * one.published for one in mine),
        )
    run.mkdir(parents=True, exist_ok=True)
    replace_file(run / KEPT, Plan(gpu=gpu, stages=stages).model_dump_json(indent=1) + "\n")


def _hours(stages: Sequence[Planned], end: int) -> float:
    """Wall time of all jobs. end: 0 the lowest, 1 the highest"""
    return sum(one.jobs * one.seconds[end] / 3600 for one in stages)


def named_gpu(name: str) -> Gpu:
    """The entry of GPUS. Raises UserError for another name."""
    if name not in GPUS:
        raise UserError(f"--gpu {name}: there is no such kind{suggestion(name, GPUS)}; known: {' '.join(GPUS)}")
    return GPUS[name]


def kept(run: Path) -> Plan | None:
    """What was planned for the run in this folder. Raises UserError for a file that `keep` did not write."""
    path = run / KEPT
    return read_section(Plan, str(path)) if path.exists() else None


def main(
    configs: Sequence[str | Path],
    profile: Path | None,
    gpu: str | None,
    price: float | None,
    keeping: bool,
    as_json: bool,
) -> None:
    """`polaris plan`. configs: none for polaris_v2; profile, gpu: None for what the recipe's hardware says.

    Raises UserError with every reason why the recipe cannot work.
    """
    recipe = load(configs or [SHIPPED / "polaris_v2.yaml"])
    name, run = gpu or gpu_of(recipe.hardware), Path("runs") / recipe.run
    machine, wrong = named_gpu(name), refusals(recipe, folders_of(recipe, run))
    if recipe.device == "cpu":
        if wrong:
            raise UserError("this recipe will not run:\n  " + "\n  ".join(wrong))
        say("device: cpu: no GPU is planned for, and nothing that the files here tell is in the way")
        try:
            say("\n".join(["", *plan_cpu.lines(recipe, run)]))
        except UserError as error:
            say(f"hours are not planned for: {error}")
        say("\n".join(effects.lines(recipe)))
        return
    reserving = Profile(profile) if profile else slurm_profile.of(recipe)
    stages, guessed = planned_stages(recipe, machine, run, lambda rule: reserving.reserved(rule).nodes)
    planned = [scheduled(one, reserving, limits(recipe)) for one in stages]
    if as_json:
        say_json([asdict(one) for one in planned])
    else:
        guesses = [f"guessed: {key}: {guessed[key]}" for key in guessed]
        below = [*guesses, *filter(None, [room(planned, run)]), *effects.lines(recipe)]
        say("\n".join([*lines(planned, reserving, machine, price), *below]))
    if wrong := [*wrong, *(f"{one.name}: {reason}" for one in planned for reason in one.wrong)]:
        raise UserError("this recipe will not run on this profile:\n  " + "\n  ".join(wrong))
    if keeping:
        keep(planned, reserving, name, run)
