"""`polaris rollouts`, `replay` and `court`: what an RL stage sampled, other rewards for it, and hacks of its own."""

import dataclasses
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from polaris.commands.runs import place
from polaris.report import paid
from polaris.stage.code import module_name
from polaris.stage.nodes import interpreter
from polaris.stage.terminal import say, say_json, table
from small_rl.rollouts import hearing, pages, variants
from small_rl.rollouts.replay import Replayed
from small_rl.rollouts.store import FOLDER


def store_of(stage: str, run: str | None, configs: Sequence[str]) -> Path:
    """The store of a stage of a run, or of a stage's own folder, where `stage` is one. run, configs: as for `place`"""
    folder = Path(stage).absolute() if "/" in stage else place(run, configs).folder / stage
    return folder / "log" / FOLDER


def show(store: Path, as_json: bool) -> None:
    """Write the stage's pages into runs/<run>/rollouts/<stage>, print its steps. Raises UserError without a store."""
    out = store.parents[2] / FOLDER / store.parents[1].name
    rows = pages.write(store, out)
    if as_json:
        say_json(rows)
        return
    say("\n".join(table(pages.lines(rows))))
    say(f"\npage  {out / 'index.html'}")


def replay(store: Path, as_json: bool) -> None:
    """Print what other process rewards would have paid. Raises UserError as `variants.replayed`."""
    found = variants.replayed(store)
    rows = found.rewards
    if as_json:
        say_json([dataclasses.asdict(row) for row in rows])
        return
    say("\n".join(table(lines(rows))))
    first = rows[0]
    say(f"\n{first.name}: {first.same} of {first.rollouts} responses earn exactly what was recorded")
    for missing in found.missing:
        say(missing)


def again(store: Path, step: int, as_json: bool) -> None:
    """Run the stage's updates through `step` again, by the Python of the run's RL stages. Raises SystemExit."""
    tools = place(str(store.parents[2]), []).recipe()
    python = interpreter(tools.interpreters.rl, tools.environment)
    command = [*shlex.split(python), "-m", module_name("small_rl.repeat.again"), str(store), "--step", str(step)]
    raise SystemExit(subprocess.run([*command, *(["--json"] if as_json else [])], check=False).returncode)


def court(store: Path, as_json: bool) -> None:
    """Print what known hacks earned when the stage began. Raises UserError as `hearing.read`."""
    rows = hearing.read(store.parent / hearing.NAME)
    if as_json:
        say_json(rows)
        return
    head = ["hack", "mean reward", "problems where it is paid", "taken for correct"]
    shares = lambda row: [f"{row['mean']:.3f}", f"{100 * row['paid']:.1f} %", f"{100 * row['correct']:.1f} %"]
    say("\n".join(table([head, *([row["hack"], *shares(row)] for row in rows)])))


def lines(rows: list[Replayed]) -> list[list[str]]:
    """The variants as rows of a table, its head first."""
    return [list(paid.HEAD), *([row.name, *paid.cells(dataclasses.asdict(row))] for row in rows)]
