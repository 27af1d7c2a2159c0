"""`polaris status`: every stage of a recipe, how far it is, and which stages the next run will make again.

The rules say what the recipe wants, the manifests what exists. Snakemake is asked for one thing only: what its next run
would do. Its records stay behind where a run's folder is moved, and then it takes every stage for finished.
"""

import contextlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from polaris.commands.runs import Place
from polaris.commands.state.snakemake_jobs import Job, all_jobs, next_jobs
from polaris.commands.state.stage_state import State, state_of
from polaris.stage.progress import duration
from polaris.stage.terminal import NONE, say, say_json, table
from polaris.stage.versions import versions_of

WIDTH = 80  # characters of a reason


def states_of(jobs: Sequence[Job], upcoming: set[Path], digests: bool = False) -> list[State]:
    """The state of every job, in an order in which each follows the jobs that it needs.

    upcoming: targets that the next run makes; digests: read every file. Raises UserError for an interpreter that fails.
    """
    states: dict[Path, State] = {}
    waiting = {job.out: job for job in jobs}
    tools = {python: versions_of(python) for python in {job.python for job in jobs}}

    def visit(out: Path) -> None:
        job = waiting.pop(out)
        for path in (path for paths in job.inputs.values() for path in paths):
            if path in waiting:
                visit(path)
        state = state_of(job, states, tools[job.python], digests)
        states[out] = replace(state, state="cleared") if state.state == "missing" and out not in upcoming else state

    while waiting:
        visit(next(iter(waiting)))
    return list(states.values())


def lines(states: Sequence[State], upcoming: set[Path], run: Path) -> list[str]:
    """The table; then how many jobs would run, which stale ones would not, and which stages drifted. run: its folder"""
    name = lambda state: str(state.job.out.parent.relative_to(run))
    rows = [["stage", "state", "progress", "time", "size", "why"]]
    for state in states:
        why = "; ".join(state.why)
        why = why if len(why) <= WIDTH else why[: WIDTH - 3] + "..."
        time = NONE if state.seconds is None else duration(state.seconds)
        rows.append([name(state), state.state, state.progress or NONE, time, _size(state.size), why])
    counts = Counter(state.state for state in states)
    text = [*table(rows), "", ", ".join(f"{count} {state}" for state, count in counts.most_common())]
    if upcoming:
        text.append(f"snakemake would now run {len(upcoming)} of {len(states)} jobs")
    else:
        text.append("snakemake has nothing to do")
    if unseen := [state for state in states if state.state == "stale" and state.job.out not in upcoming]:
        text += ["stale, but snakemake has no record here of how they were made; rebuild them with", _forced(unseen)]
    if drifted := [state for state in states if state.state == "drifted"]:
        text += ["drifted stages are left as they are; rebuild them with", _forced(drifted)]
    wanted = {state.job.out.resolve() for state in states}
    manifests = [path for kind in ("checkpoint", "data") for path in sorted(run.rglob(f"{kind}.json"))]
    if spare := [path.parent for path in manifests if path.resolve() not in wanted]:
        text.append("not part of the recipe: " + " ".join(map(str, spare)))
    return text


def _forced(states: Sequence[State]) -> str:
    return "  snakemake ... -R " + " ".join(str(state.job.out) for state in states)


def _size(count: float) -> str:
    """Bytes for people: `9.1 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def show(place: Place, digests: bool, as_json: bool) -> None:
    """Print the state of a run, after reading all of its files where asked to. Raises UserError for a recipe that
    cannot run.
    """
    configs, run = [str(Path(file).absolute()) for file in place.configs], Path("runs") / place.folder.name
    with contextlib.chdir(place.root), ThreadPoolExecutor() as pool:
        pending, jobs = pool.submit(next_jobs, configs), all_jobs(configs)
        upcoming = pending.result()
        states = states_of(jobs, upcoming, digests)
        if as_json:
            say_json([row(state, upcoming, run) for state in states])
            return
        say("\n".join(lines(states, upcoming, run)))
        if not run.exists():
            say(f"{run} is not here; of a run that lies elsewhere: polaris status --run FOLDER")


def row(state: State, upcoming: set[Path], run: Path) -> dict[str, object]:
    """A state for programs. next: whether the next run makes it; bytes: of its folder; run: the run's"""
    names = ("state", "why", "progress", "seconds")
    values = {name: getattr(state, name) for name in names} | {"bytes": state.size, "next": state.job.out in upcoming}
    return {"stage": str(state.job.out.parent.relative_to(run)), **values}
