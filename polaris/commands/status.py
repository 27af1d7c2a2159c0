"""`polaris status`: every stage of a recipe, how far it is, and what the next run will make again.

The rules say what is wanted, the manifests what was made; Snakemake's own records are asked for one thing only, whether
its next run agrees. They stay behind where a run's folder is moved, and then it takes everything for finished.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from polaris.commands.snakemake_jobs import Job, all_jobs, next_jobs
from polaris.commands.stage_state import State, state_of
from polaris.stage.progress import duration
from polaris.stage.tables import NONE, table
from polaris.stage.terminal import say
from polaris.stage.versions import versions_of

WIDTH = 80  # characters of a reason


def states(jobs: Sequence[Job], upcoming: set[Path], digests: bool = False) -> list[State]:
    """The state of every job, each after those that it needs. upcoming: targets that the next run makes."""
    found: dict[Path, State] = {}
    waiting = {job.out: job for job in jobs}
    tools = {python: versions_of(python) for python in {job.python for job in jobs}}

    def visit(out: Path) -> None:
        job = waiting.pop(out)
        for path in (path for paths in job.inputs.values() for path in paths):
            if path in waiting:
                visit(path)
        one = state_of(job, found, tools[job.python], digests)
        found[out] = replace(one, state="cleared") if one.state == "missing" and out not in upcoming else one

    while waiting:
        visit(next(iter(waiting)))
    return list(found.values())


def lines(found: Sequence[State], upcoming: set[Path], run: Path) -> list[str]:
    """The table, then what will run, what will not although it should, and what only drifted."""
    name = lambda state: str(state.job.out.parent.relative_to(run))
    rows = [["stage", "state", "progress", "time", "size", "why"]]
    for one in found:
        why = "; ".join(one.why)
        why = why if len(why) <= WIDTH else why[: WIDTH - 3] + "..."
        time = NONE if one.seconds is None else duration(one.seconds)
        rows.append([name(one), one.state, one.progress or NONE, time, _size(one.size), why])
    counts = Counter(one.state for one in found)
    text = [*table(rows), "", ", ".join(f"{count} {state}" for state, count in counts.most_common())]
    if upcoming:
        text.append(f"snakemake would now run {len(upcoming)} of {len(found)} jobs")
    else:
        text.append("snakemake has nothing to do")
    if unseen := [one for one in found if one.state == "stale" and one.job.out not in upcoming]:
        text += ["stale, but snakemake has no record here of how they were made; make them again with", _forced(unseen)]
    if drifted := [one for one in found if one.state == "drifted"]:
        text += ["drifted stages are left as they are; make them again with", _forced(drifted)]
    wanted = {one.job.out.resolve() for one in found}
    made = [path for kind in ("checkpoint", "data") for path in sorted(run.rglob(f"{kind}.json"))]
    if spare := [path.parent for path in made if path.resolve() not in wanted]:
        text.append("not part of the recipe: " + " ".join(map(str, spare)))
    return text


def _forced(found: Sequence[State]) -> str:
    return "  snakemake ... -R " + " ".join(str(one.job.out) for one in found)


def _size(count: float) -> str:
    """Bytes for people: `9.1 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def show(configs: Sequence[str], run: str, digests: bool) -> None:
    """Print the state of a recipe's run in this folder, after reading all of its files where asked to. Raises UserError
    for a recipe that cannot run.
    """
    with ThreadPoolExecutor() as pool:
        asked, jobs = pool.submit(next_jobs, configs), all_jobs(configs)
        upcoming = asked.result()
    say("\n".join(lines(states(jobs, upcoming, digests), upcoming, Path("runs") / run)))
