"""A stage's target: one small JSON file, written last, that lists what the stage published and from which inputs.

`checkpoint.json` (weights lie beside it in `model/`, Hugging Face layout) or `data.json` (parquet files beside it).
Snakemake knows only this file: it is under 1 MB, so its content, not its date, decides what reruns. A sibling
`weights.json` ({"removed": [files]}) lists weights that were removed on purpose: what came of them stays valid.
"""

import dataclasses
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import xxhash
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from polaris.stage import files
from polaris.stage.errors import UserError

CHUNK = 1 << 20  # bytes
RESTORE = "restore it from a copy, or make it again: rm {path} and rerun"
WEIGHTS_RECORD = "weights.json"


def _inside(name: str) -> str:
    """A relative path that stays in its folder. Raises ValueError."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise ValueError(f"{name!r} names a file outside its folder")
    return name


def _described(entries: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Files with their sizes and digests. Raises ValueError."""
    for name, entry in entries.items():
        if [type(entry.get(key)) for key in ("size", "xxh3")] != [int, str]:
            raise ValueError(f"{_inside(name)!r} has no size, or no digest")
    return {_inside(name): entry for name, entry in entries.items()}


class WeightsRecord(BaseModel):
    """removed: files of the manifest that are gone on purpose."""

    removed: list[Annotated[str, AfterValidator(_inside)]]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a finished stage published.

    files: path relative to the folder, in which it stays -> {"size": bytes, "xxh3": digest}
    inputs: name -> {"path": manifest or file, "content": digest}; tools: engine -> version
    steps: {"planned": n, "reached": n}, empty for a stage without steps; seconds: of the last attempt
    memory: MB that the process which published took at most, without its children
    """

    path: Path
    stage: str
    module: str
    files: Annotated[dict[str, dict[str, Any]], AfterValidator(_described)]
    settings: dict[str, Any]
    inputs: dict[str, dict[str, str]]
    code: str
    tools: dict[str, str]
    steps: dict[str, int]
    metrics: dict[str, Any]
    seconds: float
    memory: float | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def model(self) -> Path:
        """The folder of the weights, in Hugging Face layout. Raises UserError where there are none."""
        if not (self.folder / "model" / "config.json").is_file():
            raise UserError(f"{self.path}: this stage made no model, or model/config.json is gone")
        if self.removed:
            raise UserError(
                f"{self.path}: its weights were removed after their evaluation; make them again: "
                f"python -m {self.module.rpartition('.')[0]}.merged_weights present --checkpoint {self.path}"
            )
        return self.folder / "model"

    def file(self, name: str) -> Path:
        """The path of a published file. Raises UserError where the manifest does not list it."""
        if name not in self.files:
            raise UserError(f"{self.path}: it has no file {name} (it has {', '.join(sorted(self.files)) or 'none'})")
        return self.folder / name

    @property
    def content(self) -> str:
        """Digest of what consumers read, 16 hex digits: the files without `log/`, whatever their dates."""
        counted = {name: file["xxh3"] for name, file in self.files.items() if not name.startswith("log/")}
        return digest_of(counted)

    @property
    def removed(self) -> set[str]:
        """Files that were removed on purpose, by the sibling record. Raises UserError where that is none."""
        record = self.folder / WEIGHTS_RECORD
        if files.kind_of(record) is None:
            return set()
        data = files.read_bytes(record)
        try:
            names = WeightsRecord.model_validate_json(data).removed
        except ValueError as error:
            raise UserError(f"{record}: this is not a record of removed weights ({_reason(error)})") from None
        return {name for name in names if not (self.folder / name).exists()}

    def check_sizes(self) -> None:
        """Raises UserError for a file that is missing, but for those removed on purpose, or has another length.

        The bytes are not read.
        """
        gone = self.removed
        for name, file in self.files.items():
            if name in gone:
                continue
            path = self.folder / name
            if not path.is_file():
                raise UserError(f"{self.path}: its file {name} is gone; {RESTORE.format(path=self.path)}")
            if path.stat().st_size != file["size"]:
                raise UserError(
                    f"{self.path}: its file {name} has {path.stat().st_size} bytes, not {file['size']}: "
                    f"it was changed or cut; {RESTORE.format(path=self.path)}"
                )

    def check_digest(self, name: str, advanced: Callable[[int], None] = lambda size: None) -> None:
        """Raises UserError for a file with other bytes than its stage wrote; reads all of them.

        advanced: called with the number of bytes read since its last call
        """
        if file_digest(self.folder / name, advanced) != self.files[name]["xxh3"]:
            raise UserError(
                f"{self.path}: its file {name} has other bytes than stage {self.stage} wrote, in the same length: "
                f"{RESTORE.format(path=self.path)}"
            )


def digest_of(value: Any) -> str:
    """Digest of a JSON value, independent of key order: 16 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:16]


def file_digest(path: Path, advanced: Callable[[int], None] = lambda size: None) -> str:
    """xxh3 (128 bit) of a file's bytes; `advanced` as in `Manifest.check_digest`."""
    state = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            state.update(chunk)
            advanced(len(chunk))
    return state.hexdigest()


MANIFEST = TypeAdapter(Manifest)


def load(path: str | Path) -> Manifest:
    """The manifest at `path`, without a look at its files. Raises UserError."""
    path = Path(path)
    try:
        data = files.read_bytes(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such manifest: its stage has not finished") from None
    try:
        return MANIFEST.validate_python(json.loads(data) | {"path": path})
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: this is not the manifest of a stage ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """Why a text is none of ours, in one line; of several reasons the first."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return ": ".join([*[".".join(map(str, first["loc"]))] * bool(first["loc"]), first["msg"]])


def read(path: str | Path) -> Manifest:
    """The manifest at `path`, its files checked for presence and size. Raises UserError."""
    manifest = load(path)
    manifest.check_sizes()
    return manifest


def path_text(paths: Sequence[Path]) -> str:
    """An input's `path` in a manifest: one as it is, several as a shell would read them."""
    return str(paths[0]) if len(paths) == 1 else shlex.join(map(str, paths))


def paths_of(text: str) -> list[Path]:
    """The paths that `path_text` wrote."""
    if Path(text).exists():
        return [Path(text)]
    try:
        return list(map(Path, shlex.split(text)))
    except ValueError:  # one, with a quotation mark
        return [Path(text)]


def write(manifest: Manifest) -> None:
    """Put the manifest into place: written beside, synced, renamed."""
    values = {f.name: getattr(manifest, f.name) for f in dataclasses.fields(manifest) if f.name != "path"}
    replace_file(manifest.path, json.dumps(values, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Write a small file, in UTF-8, so that no reader and no crash ever sees half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(files.opened(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
