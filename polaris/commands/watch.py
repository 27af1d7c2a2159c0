"""`polaris watch`: the running stages of a run in a terminal, with their curves, rates, time left and last warning.

It reads files only: locks, log/progress.json, log/metrics.jsonl, log/alarms.jsonl.
"""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from polaris.stage import files, lock
from polaris.stage.errors import UserError
from polaris.stage.progress import duration
from polaris.stage.stage import PROGRESS
from polaris.stage.terminal import printable

if TYPE_CHECKING:
    from rich.console import Group

EVERY = 2.0  # seconds
# The curves that are drawn, in this order, where a stage has them.
CURVES = ("accuracy", "reward", "process_reward", "response_tokens", "truncated", "entropy", "mismatch", "loss",
          "grad_norm", "seconds")  # fmt: skip
WIDTH = 44  # characters of a curve
BLOCKS, PLAIN = "▁▂▃▄▅▆▇█", "_.-=+*#@"


@dataclass(frozen=True)
class Running:
    """A stage at work. owner: in the lock's words; progress: of PROGRESS, None before the first step; curves: name ->
    values in the order of the steps; warning: the last one
    """

    name: str
    owner: str
    progress: dict[str, Any] | None
    curves: dict[str, list[float]]
    warning: str | None


def running(run: Path) -> list[Running]:
    """The stages whose locks are held, by name."""
    found = []
    for folder in sorted(
        {path.parent.parent for pattern in ("*", "*/*") for path in run.glob(f"{pattern}/state/lock")}
    ):
        with contextlib.suppress(UserError, NotADirectoryError):
            if owner := lock.locked_by(folder):
                found.append(_looked_at(folder, str(folder.relative_to(run)), owner))
    return found


def _looked_at(folder: Path, name: str, owner: str) -> Running:
    steps = list(_lines(folder / "log" / "metrics.jsonl"))
    curves = {key: [line[key] for line in steps if isinstance(line.get(key), int | float)] for key in CURVES}
    warnings = [str(line.get("text")) for line in _lines(folder / "log" / "alarms.jsonl")]
    progress = next(iter(_lines(folder / "log" / PROGRESS)), None)
    drawn = {key: values for key, values in curves.items() if values}
    return Running(name, owner, progress, drawn, warnings[-1] if warnings else None)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file that is being written; none where it is not there."""
    with contextlib.suppress(OSError, UserError):
        for line in files.read_bytes(path).splitlines():
            with contextlib.suppress(ValueError):
                if isinstance(values := json.loads(line), dict):
                    yield values


def sparkline(values: Sequence[float], blocks: str, width: int = WIDTH) -> str:
    """The values from their lowest to their highest, of more than `width` the means of neighbours."""
    if len(values) > width:
        edges = [round(place * len(values) / width) for place in range(width + 1)]
        values = [fmean(values[start:end]) for start, end in itertools.pairwise(edges)]
    low, high = min(values), max(values)
    top = len(blocks) - 1
    return "".join(blocks[round(top * (value - low) / (high - low)) if high > low else 0] for value in values)


def pace(progress: dict[str, Any] | None, now: float) -> str:
    """How far a stage is, how fast, and for how long; now: seconds since the epoch"""
    try:
        done, total, unit, seconds = (progress[key] for key in ("done", "total", "unit", "seconds"))
        ago = max(0.0, now - progress["at"])
        text = f"{unit} {done}/{total}"
        if seconds:
            rate = f"{seconds:.2f} s/{unit}" if seconds >= 0.2 else f"{1 / seconds:.0f} {unit}s/s"
            text += f", {rate}, {duration(max(0.0, seconds * (total - done) - ago))} left"
        return f"{text}, the last {duration(ago)} ago"
    except (KeyError, TypeError, ValueError):  # no file yet, or none of this version
        return "no step yet"


def drawn(stages: Sequence[Running], run: Path, now: float, blocks: str) -> "Group":
    """What the terminal shows."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = []
    for stage in stages:
        parts += [
            Text(printable(f"{stage.name}: {pace(stage.progress, now)}"), "bold"),
            Text(printable(stage.owner), "dim"),
        ]
        table = Table.grid(padding=(0, 2, 0, 0))
        for name, values in stage.curves.items():
            table.add_row(f"  {name}", Text(sparkline(values, blocks), "cyan"), f"{values[-1]:.4g}")
        parts += [table] if stage.curves else []
        parts += [Text(printable(f"  warning: {stage.warning}"), "yellow")] if stage.warning else []
        parts.append("")
    return Group(*parts, Text(ending(run) if not stages else f"{run}: Ctrl-C leaves it to itself", "dim"))


def ending(run: Path) -> str:
    """Why nothing runs."""
    if (run / "report" / "data.json").is_file():
        return f"{run} is finished: `polaris show` prints its tables"
    return f"nothing runs in {run} now: `polaris status` says what is left"


def main(run: Path) -> None:
    """Show the run in this folder until it is finished or Ctrl-C; without a terminal once."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    blocks = BLOCKS if "utf" in console.encoding.lower() else PLAIN
    show = lambda stages: drawn(stages, run, time.time(), blocks)
    stages = running(run)
    if not console.is_terminal or not stages:
        console.print(show(stages))
        return
    try:
        with Live(show(stages), console=console, auto_refresh=False) as live:
            while stages or not (run / "report" / "data.json").is_file():
                time.sleep(EVERY)
                stages = running(run)
                live.update(show(stages), refresh=True)
    except KeyboardInterrupt:
        pass
    finally:
        console.show_cursor()
