"""Files of a stage: only real files and folders of its own are written, emptied or removed, never what a link names."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from polaris.stage.errors import UserError

FOLDERS = frozenset({"state", "log", "new.partial"})  # of a stage; other names there may be either
FILES = frozenset({"lock", "data.json", "data.json.partial", "checkpoint.json", "checkpoint.json.partial"})
REMOVE = "remove it and run it again"
BOTH = frozenset({"file", "directory"})
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def kind_of(path: Path) -> str | None:
    """What lies at `path` itself, in a word of KINDS: a link is not followed. None: nothing."""
    try:
        return KINDS[stat.S_IFMT(path.lstat().st_mode)]
    except FileNotFoundError:
        return None


def _refuse(path: Path, kind: str) -> NoReturn:
    where = f" to {os.readlink(path)}" if kind == "link" else ""
    raise UserError(f"{path}: this is a {kind}{where}, where a stage keeps a file or folder of its own; {REMOVE}")


def check_stage(folder: Path) -> None:
    """Nothing in a stage's folder leads out of it. Raises UserError for a link, a FIFO, a socket, a device, and for a
    file where a folder belongs or the other way round.

    The folder itself may be reached by links: where a run lies is its owner's choice. What an engine keeps in
    `state/<fingerprint>/` is its own affair.
    """
    for place, folders, names in os.walk(folder):
        if Path(place).parent == folder / "state":
            folders.clear()
            continue
        own = Path(place) in (folder, folder / "state")
        for path in (Path(place) / name for name in sorted(folders + names)):
            wanted = {"directory"} if own and path.name in FOLDERS else {"file"} if own and path.name in FILES else BOTH
            if (kind := kind_of(path)) is not None and kind not in wanted:
                _refuse(path, kind)


def opened(path: Path, flags: int) -> int:
    """A descriptor of the regular file `path`, where O_CREAT may make it; no FIFO holds the caller up.

    Raises UserError for anything else. A link's file is opened for reading only.
    """
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    kind = kind_of(path if writes else Path(os.path.realpath(path))) or "file"
    if kind != "file":
        if writes:
            _refuse(path, kind)
        raise UserError(f"{path}: this is a {kind}, and a file is needed")
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if writes else 0), 0o644)
    if writes and os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise UserError(f"{path}: this file has another name elsewhere, which would lose its text; {REMOVE}")
    return descriptor


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file. Raises UserError for a place of another kind, FileNotFoundError."""
    with os.fdopen(opened(path, os.O_RDONLY), "rb") as file:
        return file.read()


def files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Everything but folders below `folder`, sorted, each with its kind; no link is followed."""
    for place, folders, names in sorted(os.walk(folder)):
        for path in (Path(place) / name for name in sorted(folders + names)):
            if (kind := kind_of(path)) not in ("directory", None):
                yield path, kind


def remove(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link, but not what the link names; nothing is no error."""
    if kind_of(path) == "directory":
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
