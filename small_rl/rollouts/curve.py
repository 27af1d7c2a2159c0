"""The metrics of an RL stage, a line per step, and the alarm's warnings about them, each once."""

import json
from pathlib import Path
from typing import Any

from small_rl.rollouts import alarm


class Curve:
    """metrics.jsonl as a launch goes on with it. settings: of the alarm, None without one"""

    def __init__(self, path: Path, settings: Any):
        self.path, self.settings, self.warnings = path, settings, path.with_name(alarm.NAME)
        self.lines, self.warned = _lines(path), {line["measure"] for line in _lines(self.warnings)}

    def append(self, line: dict[str, Any]) -> None:
        """Write a step's line, marked with the number of measures above their bounds; print what is so at first."""
        self.lines.append(line)
        if self.settings:
            found = alarm.raised(self.lines, self.settings)
            line[alarm.MARK] = len(found)
            for one in found:
                if one.measure not in self.warned:
                    self.warned.add(one.measure)
                    text = f"step {line['step']}: {one.text}"
                    append(self.warnings, {"step": line["step"], "measure": one.measure, "text": text})
                    print(f"{alarm.SAID}{text}", flush=True)
        append(self.path, line)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, line: dict[str, Any]) -> None:
    """Write one line at the end of a log."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
