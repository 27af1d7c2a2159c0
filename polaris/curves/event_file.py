"""A training's curves as TensorBoard reads them: an event file beside metrics.jsonl, with the same numbers.

Each launch writes the file anew from the lines that the resumed training kept, so that no step is there twice.
"""

import json
import math
import time
from pathlib import Path
from typing import Any, Self

# File in a stage's log/ -> what its tags begin with.
CURVES = {"metrics.jsonl": "", "validation.jsonl": "validation/"}
MARK = "tfevents"  # by this in its name TensorBoard knows the file


class EventFile:
    """Copies the lines of CURVES in `log` as they appear; opened by the first `update`, since a launch may cut them."""

    def __init__(self, log: Path):
        self.log = log
        self._read = dict.fromkeys(CURVES, 0)  # bytes
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.update()
        self._writer.close()

    def update(self) -> dict[str, Any] | None:
        """Write what is new on disk; the last new line of metrics.jsonl, if there is one."""
        if self._writer is None:
            self._open()
            return None
        return self._copy({})

    def _open(self) -> None:
        """Begin the file with the lines that are there, each at the time that it had in an earlier one."""
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        old = sorted(self.log.glob(f"*{MARK}*"))
        times = {key: at for path in old for key, at in _times(path).items()}
        path = self.log / f"events.out.{MARK}.{time.time_ns()}"
        self._writer = RecordWriter(path.open("wb"))
        self._write(file_version="brain.Event:2")
        self._write(session_log=SessionLog(status=SessionLog.START))  # a running TensorBoard drops what it has read
        self._copy(times)
        for earlier in old:  # emptied first: a running TensorBoard does not go on after a file that is gone
            earlier.write_bytes(b"") if earlier.stat().st_size else earlier.unlink()

    def _copy(self, times: dict[tuple[str, int], float]) -> dict[str, Any] | None:
        """times: (file, step) -> seconds since the epoch, where it is not now."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        last = None
        for name, prefix in CURVES.items():
            for line in self._new_lines(name):
                numbers = {key: value for key, value in line.items() if key != "step" and _is_number(value)}
                values = [Summary.Value(tag=prefix + key, simple_value=value) for key, value in numbers.items()]
                at = times.get((name, line["step"]))
                self._write(at, step=line["step"], summary=Summary(value=values))
                last = line if not prefix else last
        self._writer.flush()
        return last

    def _new_lines(self, name: str) -> list[dict[str, Any]]:
        path, start = self.log / name, self._read[name]
        if not path.exists() or path.stat().st_size <= start:
            return []
        with path.open("rb") as file:
            file.seek(start)
            whole = file.read().rpartition(b"\n")[0]
        self._read[name] += len(whole) + 1 if whole else 0
        return [json.loads(line) for line in whole.splitlines()]

    def _write(self, at: float | None = None, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.write(Event(wall_time=time.time() if at is None else at, **content).SerializeToString())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _times(path: Path) -> dict[tuple[str, int], float]:
    """(file of CURVES, step) -> when an event file got it; of a cut one, what is whole."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found = {}
    for event in LegacyEventFileLoader(str(path)).Load():
        if event.summary.value:
            tag = event.summary.value[0].tag
            name = next(name for name in reversed(CURVES) if tag.startswith(CURVES[name]))
            found[name, event.step] = event.wall_time
    return found
