"""The contract of a stage: files in, one manifest out, published last; killed anywhere, it goes on.

A verb looks like this and can always be run by hand:

    def main() -> None:
        with Stage.from_command_line("small_rl.data.build_rl_data", RlData, inputs=("problems", "responses")) as stage:
            problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
            kept = [...]                                      # as stage.settings says
            write_rows(stage.partial / "problems.parquet", kept, PROBLEMS)
            stage.publish(metrics={"kept": len(kept)})

    if __name__ == "__main__":
        run_verb(main)

Folders of a stage `runs/<run>/<stage>/`:
  checkpoint.json | data.json    the manifest, written last (`polaris.stage.manifest`)
  model/ *.parquet ...           what it describes, moved here from `new.partial/` by rename
  log/                           engine output, training curves; in the manifest, but not in its content digest;
                                 emptied by a clean start
  state/<fingerprint>/           resumable work; another fingerprint (settings but for OUTSIDE_FINGERPRINT, inputs,
                                 code) starts clean; removed when the stage has published
  state/lock                     held while a process works on the stage
"""

import argparse
import contextlib
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Self, TextIO

from polaris.stage import code, files, manifest, terminal
from polaris.stage.errors import UserError
from polaris.stage.lock import take_lock
from polaris.stage.manifest import Manifest
from polaris.stage.progress import Progress
from polaris.stage.settings import S, read_section
from polaris.stage.versions import tool_versions

# Settings of how and for how long a stage works, on which its result does not depend: resumable work outlives their
# change. A verb that cannot resume in another layout refuses it itself.
OUTSIDE_FINGERPRINT = frozenset({"alarm", "layout", "loggers", "reshardable", "rollout_store", "timeout"})
MEGABYTE = 1_000_000
PROGRESS = "progress.json"  # in log/
GONE = "it was removed or replaced while it ran; run it again"


def run_verb(main: Callable[[], None]) -> None:
    """Run a verb's main; what a person can mend becomes one sentence on stderr (`polaris.stage.terminal.run`)."""
    # Idle threads sleep instead of spinning: beside another job on the same cores, spinning made a step 20 times
    # slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    terminal.run(main)


class Stage(Generic[S]):
    """One run of one stage, as a context manager: takes the lock, makes the folders, publishes.

    settings: the verb's own section; inputs: name -> Manifest, or a list of them where the flag takes several
    code: what the rule passed: the digest of the verb's code, or another word where a code change must not restart work
    unchecked: inputs whose weights are not compared with their digests at the start, as the verb reads none of them or
        takes the digests while it reads; their other files are compared

    Entering raises UserError where another process holds the stage, where its folder cannot be written or leads
    elsewhere, and where an input differs from its manifest. Leaving raises UserError where the disk is full or the
    folder was removed, and RuntimeError where the block published nothing.
    """

    def __init__(
        self,
        module: str,
        settings: S,
        inputs: Mapping[str, Any],
        out: Path,
        code: str,
        unchecked: Sequence[str] = (),
    ):
        self.module, self.settings, self.inputs, self.out = module, settings, inputs, out.absolute()
        self.unchecked = unchecked
        self.folder = self.out.parent
        # The stage's name is its folder's: "core_filtered", "alpha=0.30".
        self.name = self.folder.name
        self.partial = self.folder / "new.partial"
        self.log = self.folder / "log"
        self.fingerprint = fingerprint(settings.model_dump(mode="json"), inputs, code)
        self.state = self.folder / "state" / self.fingerprint
        self.started = time.monotonic()
        self._lock: TextIO
        self._published = False

    @classmethod
    def from_command_line(
        cls,
        module: str,
        settings: type[S],
        inputs: Sequence[str] = (),
        optional: Sequence[str] = (),
        repeated: Sequence[str] = (),
        unchecked: Sequence[str] = (),
        argv: Sequence[str] | None = None,
    ) -> "Stage[S]":
        """Parse `--settings --out --code` and a flag per input, each the path of another stage's manifest.

        repeated: flags that take several manifests, which need not be given unless they are `inputs`, too; their
        weights are not compared with their digests. argv: None for that of the process. Raises UserError for settings
        or manifests that are wrong.
        """
        parser = argparse.ArgumentParser(prog=f"python -m {module}")
        parser.add_argument("--settings", required=True, help="the section: a YAML or JSON file, or JSON itself")
        parser.add_argument("--out", required=True, type=Path, help="the manifest to write: .../<stage>/data.json")
        parser.add_argument("--code", default="by hand", help="digest of the code, or 'advisory'")
        flags = tuple(dict.fromkeys((*inputs, *optional, *repeated)))
        for name in flags:
            flag = "--" + name.replace("_", "-")
            many = {"nargs": "+", "default": []} if name in repeated else {}
            parser.add_argument(flag, required=name in inputs, type=Path, metavar="MANIFEST", **many)
        args = parser.parse_args(argv)
        given = {name: getattr(args, name) for name in flags}
        read = {
            name: [manifest.read(p) for p in value] if isinstance(value, list) else manifest.read(value)
            for name, value in given.items()
            if value is not None
        }
        return Stage(module, read_section(settings, args.settings), read, args.out, args.code, (*unchecked, *repeated))

    def __enter__(self) -> Self:
        self._lock = take_lock(self.folder)
        try:
            self._check_inputs()
            self._make_folders()
        except BaseException:
            self._lock.close()
            raise
        return self

    def _make_folders(self) -> None:
        """An empty `partial`, and `log` and `state` as an earlier attempt with the same fingerprint left them."""
        self.out.unlink(missing_ok=True)
        files.remove(self.partial)
        self.partial.mkdir()
        if not self.state.exists():
            files.remove(self.log)  # curves of other settings would pass for this run's
        self.log.mkdir(exist_ok=True)
        for old in (self.folder / "state").iterdir():
            if old.is_dir() and old != self.state:
                shutil.rmtree(old)
        self.state.mkdir(exist_ok=True)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None and not self._published:
                raise RuntimeError(f"{self.module} ended without publishing")
            if isinstance(error, OSError) and not self._holds_lock():
                raise UserError(f"{self.folder}: {GONE}") from None
            if isinstance(error, Exception) and terminal.is_disk_full(error):
                raise UserError(terminal.explained(error, self.folder)) from None
        finally:
            self._lock.close()

    def _holds_lock(self) -> bool:
        """Whether the lock file is still the one that this process holds: nobody removed or replaced the folder."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self._lock.fileno()), (self.folder / "state" / "lock").lstat())
        return False

    def _check_inputs(self) -> None:
        """Compare every file of the inputs with its digest, before anything is made of it. Raises UserError.

        Not read: logs, on which nothing depends, and weights removed on purpose, of which `Manifest.model` takes care.
        One thread: the digest costs a tenth of a cold read, and several files at once were no faster than that.
        """
        wanted = [
            (source, file)
            for name, value in self.inputs.items()
            for source in (value if isinstance(value, list) else [value])
            for file in sorted(source.files.keys() - source.removed)
            if not file.startswith("log/") and not (name in self.unchecked and file.endswith(".safetensors"))
        ]
        total = sum(source.files[file]["size"] for source, file in wanted) // MEGABYTE
        progress, done = Progress(f"{self.name}: inputs compared with their digests", total, unit="megabyte"), 0

        def advanced(size: int) -> None:
            nonlocal done
            done += size
            if done // MEGABYTE < total:  # the last line of a short check would be its only one
                progress.update(done // MEGABYTE)

        for source, file in wanted:
            source.check_digest(file, advanced)

    def progress(self, total: int, unit: str = "step", out: TextIO | None = None) -> Progress:
        """Progress of the stage's own work, which `polaris watch` shows, too. out: as for Progress"""
        return Progress(self.name, total, unit, out, file=self.log / PROGRESS)

    def say(self, text: str) -> None:
        """Print a line for people on stderr; it begins with the stage's name."""
        terminal.say(f"{self.name}: {text}", sys.stderr)

    def _described_files(self, digests: Mapping[str, dict[str, str]]) -> dict[str, dict[str, Any]]:
        """Name -> size and digest of what is published, and of the logs. Raises UserError for a link to publish."""
        described = {}
        for path, kind in files.files_below(self.partial):
            if kind != "file":
                raise UserError(f"{path}: this is a {kind}, and a stage publishes files alone")
            name = str(path.relative_to(self.partial))
            described[name] = _described(path, digests.get(name))
        for path, kind in files.files_below(self.log):
            if kind == "file":  # an engine may leave sockets and links
                described[str(path.relative_to(self.folder))] = _described(path)
        return described

    def publish(
        self,
        metrics: dict[str, Any] | None = None,
        planned: int | None = None,
        reached: int | None = None,
        digests: Mapping[str, dict[str, str]] = MappingProxyType({}),
    ) -> None:
        """Move everything in `partial` into place and write the manifest, in this order.

        metrics: JSON values of the manifest. planned, reached: steps of a training. digests: path -> {"xxh3": ...}, of
        files whose digest was taken while they were written; the others are read once more. Raises UserError when fewer
        steps were reached (exit 0 means all of them), for a link among the files, and where the folder was replaced.
        """
        if planned is not None and reached != planned:
            raise UserError(f"{self.folder}: only {reached} of {planned} steps were done; run it again to go on")
        entries = sorted(self.partial.iterdir())
        if not entries:
            raise RuntimeError(f"{self.module} published nothing")
        described = self._described_files(digests)
        # All that takes time comes before the renames, so that hardly a kill falls between them and the manifest.
        result = Manifest(
            path=self.out,
            stage=self.name,
            module=self.module,
            files=described,
            settings=self.settings.model_dump(mode="json"),
            inputs={k: {"path": _paths(v), "content": content(v)} for k, v in self.inputs.items()},
            code=code.digest(self.module),
            tools=tool_versions(),
            steps={} if planned is None or reached is None else {"planned": planned, "reached": reached},
            metrics=json.loads(json.dumps(metrics or {})),
            seconds=round(time.monotonic() - self.started, 2),
            memory=_peak_memory(),
        )
        if not self._holds_lock():
            raise UserError(f"{self.folder}: {GONE}")
        for entry in entries:
            files.remove(self.folder / entry.name)
            entry.rename(self.folder / entry.name)
        self.partial.rmdir()
        manifest.sync_folder(self.folder)
        manifest.write(result)
        self._published = True
        shutil.rmtree(self.state, ignore_errors=True)


def _peak_memory() -> float:
    """MB that this process has taken at most, shared pages included. Linux (proc_pid_status(5), VmHWM)."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return round(int(line.split()[1]) / 1024, 1)


def _described(path: Path, digests: dict[str, str] | None = None) -> dict[str, Any]:
    """Size and digest of a file that is safely on disk and readable by the group.

    A file with a second name (a hard link to a person's weights) keeps its mode: it is not only the stage's.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_nlink == 1 and stat.S_IMODE(status.st_mode) != 0o644:
            os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
    return {"size": status.st_size, **(digests or {"xxh3": manifest.file_digest(path)})}


def fingerprint(settings: dict[str, Any], inputs: Mapping[str, Manifest | Sequence[Manifest]], code: str) -> str:
    """The identity of resumable work, 16 hex digits: it is resumed only with the same settings, inputs and code."""
    settings = {key: value for key, value in settings.items() if key not in OUTSIDE_FINGERPRINT}
    return manifest.digest_of([settings, {name: content(value) for name, value in inputs.items()}, code])


def content(value: Manifest | Sequence[Manifest]) -> str:
    """Digest of an input; of several under one flag, with the names of their stages and in their order."""
    if isinstance(value, Manifest):
        return value.content
    return value[0].content if len(value) == 1 else manifest.digest_of([(item.stage, item.content) for item in value])


def _paths(value: Manifest | list[Manifest]) -> str:
    return manifest.path_text([item.path for item in (value if isinstance(value, list) else [value])])
