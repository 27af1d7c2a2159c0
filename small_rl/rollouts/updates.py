"""What a step's update was, beside its rollouts: a line with loss and gradient norm, and one with the weights' digest
where a checkpoint was written. Numbers are not rounded: a replay must find the same."""

import json
from pathlib import Path
from typing import Any

from polaris.stage.manifest import digest_of, file_digest

NAME = "updates.jsonl"  # in a store's folder


def append(folder: Path, step: int, values: dict[str, float | str]) -> None:
    """Add to a step's record."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("a") as file:
        file.write(json.dumps({"step": step} | values) + "\n")


def read(folder: Path) -> dict[int, dict[str, Any]]:
    """Step -> what is recorded of it; a line that a kill cut is left out, and a store without the file has nothing."""
    path = folder / NAME
    found: dict[int, dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        if line.startswith("{") and line.endswith("}"):
            values = json.loads(line)
            found.setdefault(values.pop("step"), {}).update(values)
    return found


def weights_digest(model: Path) -> str:
    """Digest of a model folder's safetensors files: 16 hex digits."""
    return digest_of({path.name: file_digest(path) for path in sorted(model.glob("*.safetensors"))})
