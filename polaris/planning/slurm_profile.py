"""`polaris profile`: a Snakemake profile for the hardware of a recipe, on Slurm or on this machine."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polaris.hardware.settings import Hardware
from polaris.planning.plan_profile import Profile
from polaris.planning.planned import Planned
from polaris.planning.planned_stages import Planner
from polaris.recipe.recipe import Recipe, load
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError

# Of a node, beside each GPU: as in cluster/config.yaml, ours. A stage that is planned with more asks for it.
CPUS, MEMORY = 8, 62_500  # MB
# Of jobs without a GPU, and the merge's: MB, minutes.
DEFAULT, MERGED, PREFLIGHT = (16_000, 240), (32_000, 480), 10
DAY = 24.0  # hours
WARNED = 1800  # seconds before its limit that a training on several nodes saves: a step and a checkpoint must fit
ANYWHERE = {  # what a profile says on every Slurm
    "executor": "slurm", "jobs": 16, "latency-wait": 60, "retries": 3, "rerun-incomplete": True, "keep-going": True,
    "slurm-keep-successful-logs": True,
}  # fmt: skip
NAME = re.compile(r"[A-Za-z0-9_.,-]+")

Values = dict[str, Any]


def planned(recipe: Recipe, hardware: Hardware, hours: float | None = None) -> list[Planned]:
    """The stages on the fewest nodes on which their engines work, and on more where a job would be above `hours`."""
    nodes: dict[str, int] = {}
    planner = Planner(recipe, hardware.kind, Path("runs") / recipe.run, lambda rule: nodes.get(rule, 1))
    while True:
        stages, wider = list(planner.stages()), {}
        for one in stages:
            now = _nodes(one, hardware)
            long = hours is not None and one.seconds[1] > 3600 * hours
            if now > nodes.get(one.rule, 1):
                wider[one.rule] = now
            elif _generates(one) and long and 2 * nodes.get(one.rule, 1) <= hardware.nodes:
                wider.setdefault(one.rule, 2 * nodes.get(one.rule, 1))
        if not wider:
            return stages
        nodes |= wider


def of(recipe: Recipe) -> Profile:
    """What a recipe's hardware reserves, without a time limit and with as many nodes as make a job a DAY, where they
    can; without hardware `cluster/config.yaml`.
    """
    hardware = recipe.hardware
    if not isinstance(hardware, Hardware):
        return Profile(ROOT / "cluster/config.yaml")
    values = slurm(planned(recipe, hardware, DAY), hardware, "", "", DAY)
    return Profile(Path("hardware"), {key: value for key, value in values.items() if key != "executor"})


def slurm(stages: Sequence[Planned], hardware: Hardware, partition: str, cpu_partition: str, hours: float) -> Values:
    """The values of a Slurm profile."""
    most, resources = int(60 * hours), {}
    default, merged = ({"mem_mb": mem_mb, "runtime": min(most, minutes)} for mem_mb, minutes in (DEFAULT, MERGED))
    for rule, (nodes, gpus, host) in _rules(stages, hardware).items():
        asked: Values = {"slurm_partition": partition, "cpus_per_task": CPUS * gpus}
        if nodes > 1:
            # A launcher on each node; without `mpi` the plugin would start the command on all of them.
            extra = f"--gpus-per-node={gpus} --ntasks-per-node=1"
            extra += f" --signal=USR1@{min(WARNED, 15 * most)}" if rule == "distilled" else ""
            asked |= {"nodes": nodes, "tasks": nodes, "mpi": "srun", "slurm_extra": f"'{extra}'"}
        else:
            asked["gres"] = f"'gpu:{gpus}'"
        resources[rule] = asked | {"mem_mb": max(MEMORY * gpus, round(host / 1e6)), "runtime": most}
    if resources:
        gpus = max(asked["cpus_per_task"] for asked in resources.values()) // CPUS
        first = {"slurm_partition": partition, "cpus_per_task": CPUS * gpus, "gres": f"'gpu:{gpus}'"}
        resources = {"preflight": first | {"runtime": PREFLIGHT}} | resources
    if any(one.rule == "merged" for one in stages):
        resources["merged"] = merged
    return ANYWHERE | {
        "default-resources": {"slurm_partition": cpu_partition} | default,
        "set-resources": resources,
    }


def local(stages: Sequence[Planned], hardware: Hardware) -> Values:
    """The values of a profile for this machine. A stage of GPUs has all: nothing tells two stages which ones to use."""
    if hardware.nodes > 1:
        raise UserError(f"hardware: {hardware}: without Slurm there is one machine; leave out --local, or say nodes: 1")
    gpus = hardware.gpus_per_node
    return {
        "cores": CPUS * gpus, "resources": f"gpu={gpus}", "rerun-incomplete": True, "keep-going": True,
        "set-resources": {rule: {"gpu": gpus} for rule in _rules(stages, hardware)},
    }  # fmt: skip


def _generates(one: Planned) -> bool:
    """Whether its engines stand on all nodes of a job; the gate's only engine does not."""
    return "KV cache" in one.parts and one.rule != "conversion_reference"


def _nodes(one: Planned, hardware: Hardware) -> int:
    return max(1, -(-one.gpus // hardware.gpus_per_node))


def _rules(stages: Sequence[Planned], hardware: Hardware) -> dict[str, tuple[int, int, float]]:
    """Rule -> nodes, GPUs of each, bytes of its memory: the most that one of its stages asks for."""
    rules: dict[str, tuple[int, int, float]] = {}
    for one in stages:
        if one.gpus:
            nodes, before = _nodes(one, hardware), rules.get(one.rule, (0, 0, 0.0))
            own = (nodes, -(-one.gpus // nodes), one.host)
            rules[one.rule] = (max(before[0], own[0]), max(before[1], own[1]), max(before[2], own[2]))
    return rules


def text(values: Values, files: Sequence[str], hardware: Hardware) -> str:
    """The profile as YAML, a line per rule."""
    whole = {"configfile": files[0] if len(files) == 1 else list(files)} | values
    head = f"# {hardware}, for {' '.join(files)}: printed by `polaris profile`, and used by its folder's name.\n"
    return head + "\n".join(_lines(whole)) + "\n"


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if not isinstance(value, dict):
            yield f"{key}: {_written(value)}"
            continue
        yield from ("", f"{key}:")
        yield from (f"  {name}: {_written(inner)}" for name, inner in value.items())


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    plain = not isinstance(value, str) or re.fullmatch(r"[\w./=-]+", value)
    return str(value).lower() if isinstance(value, bool) else str(value) if plain else json.dumps(value)


def printed(
    files: Sequence[str], partition: str | None, cpu_partition: str | None, time: str | None, on_this: bool
) -> str:
    """The profile of a recipe. What is None is asked on the terminal; on_this: for this machine, without Slurm.

    Raises UserError without hardware, for a question that nobody answers, and for an answer that is none.
    """
    recipe = load(files)
    if not isinstance(hardware := recipe.hardware, Hardware):
        raise UserError(
            f"{files[0]}: hardware: {hardware or 'this key is missing'}, and a profile reserves GPUs; write "
            "hardware: {nodes: 1, gpus_per_node: 8, gpu: H100-80GB}"
            + ("; on a CPU snakemake --cores 2 needs no profile" if hardware else "")
        )
    if on_this:
        return text(local(planned(recipe, hardware), hardware), files, hardware)
    of_gpus = _name(partition or _asked("partition of the nodes with GPUs"))
    of_others = _name(cpu_partition or _asked("partition of jobs without a GPU"))
    hours = _hours(time or _asked("hours of the longest job there"))
    return text(slurm(planned(recipe, hardware, hours), hardware, of_gpus, of_others, hours), files, hardware)


def _asked(question: str) -> str:
    """The answer from the terminal; the question goes beside the profile, which is printed into a file."""
    if not sys.stdin.isatty():
        raise UserError(f"{question}? There is no terminal to ask on; give --partition, --cpu-partition and --time")
    print(f"{question}: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _name(given: str) -> str:
    if not NAME.fullmatch(given):
        raise UserError(f"partition {given!r}: write its name as `sinfo` shows it")
    return given


def _hours(given: str) -> float:
    try:
        hours = float(given)
    except ValueError:
        hours = 0.0
    if not 0.25 <= hours <= 10_000:
        raise UserError(f"--time {given}: write the hours as a number, 0.25 at least")
    return hours
