"""Progress of long work as plain lines: the same on a terminal, in a log and in a Slurm file."""

import json
import sys
import time
from pathlib import Path
from typing import TextIO

from polaris.stage.terminal import say


def duration(seconds: float) -> str:
    """`0:07`, `12:30`, `3:05:00`, `9 d 4:00:00`."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    clock = f"{h}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"
    return f"{days} d {clock}" if days else clock


class Progress:
    """Steps done, rate and time left; at most one line every `interval` seconds, and one for the last step.

    The rate counts from the first step seen, so that neither start-up nor a resumed past distorts the time left.
    file: gets what the last line said as JSON, for `polaris watch`
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str = "step",
        out: TextIO | None = None,
        interval: float = 5.0,
        file: Path | None = None,
    ):
        self.label, self.total, self.unit, self.interval, self.file = label, total, unit, interval, file
        self.out = out or sys.stderr
        self.started = self.printed = time.monotonic()
        self.first: int | None = None

    def update(self, done: int, note: str = "") -> None:
        """Tell that `done` of `total` are finished. `note` is appended, e.g. `accuracy 0.61`."""
        now = time.monotonic()
        if self.first is None:
            self.first = done
            self.started = now
        if done < self.total and now - self.printed < self.interval:
            return
        self.printed = now
        counted, seconds = done - self.first, now - self.started
        if self.file:
            self._keep(self.file, done, seconds / counted if counted > 0 else None, note)
        rate = f"  {seconds / counted:.2f} s/{self.unit}" if counted > 0 else ""
        if counted > 0 and seconds / counted < 0.2:
            rate = f"  {counted / seconds:.0f} {self.unit}s/s"
        left = (
            f"  {duration(seconds / counted * (self.total - done))} left" if counted > 0 and done < self.total else ""
        )
        note = f"  {note}" if note else ""
        say(f"{self.label}: {self.unit} {done}/{self.total}{rate}{left}{note}", self.out)

    def _keep(self, file: Path, done: int, seconds: float | None, note: str) -> None:
        """seconds: of one step, where that is known"""
        values = {"done": done, "total": self.total, "unit": self.unit, "seconds": seconds, "note": note}
        partial = file.with_name(file.name + ".partial")
        partial.write_text(json.dumps(values | {"at": time.time()}) + "\n")
        partial.replace(file)
