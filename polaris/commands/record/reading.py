"""Published results as a stranger gives them: files inside their folder, values of their kind, in bounded memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polaris.commands.record.layout import RECORD, ROWS, Record
from polaris.stage import files
from polaris.stage.errors import UserError
from polaris.stage.json_files import read_object
from polaris.stage.manifest import file_digest
from polaris.stage.parquet_rows import parquet_rows
from polaris.stage.settings import validated

RESAMPLES, TIMEOUT = 100_000, 120  # more than that would keep a machine busy for its own sake
LONGEST = 1000  # characters of a file's name, with its folders
KINDS = {"string": str, "int32": int, "int64": int, "bool": bool}


def read_record(folder: Path) -> Record:
    """results/results.json. Raises UserError where it is none."""
    path = folder / RECORD
    if not folder.is_dir() or files.kind_of(path) is None:
        raise UserError(f"{folder}: there is no {RECORD} in it; name a folder that `polaris publish` made")
    record = validated(Record, read_object(own(folder, RECORD)), str(path))
    _check_record(record, str(path))
    return record


def _check_record(record: Record, where: str) -> None:
    """Nothing in it takes days, or names what it has not. Raises UserError."""
    if record.resampling.resamples > RESAMPLES:
        raise UserError(f"{where}: resampling.resamples: {record.resampling.resamples} is more than {RESAMPLES}")
    if record.grading.timeout > TIMEOUT:
        raise UserError(f"{where}: grading.timeout: {record.grading.timeout:g} is more than {TIMEOUT} seconds")
    if not set(record.select_on) < record.benchmarks.keys():
        raise UserError(f"{where}: select_on: it must name some of {', '.join(record.benchmarks)}, and not all")
    if odd := next(
        (name for name, one in record.evaluations.items() if not isinstance(one.get("sampling"), dict)), None
    ):
        raise UserError(f"{where}: evaluations.{odd}.sampling: it must be a mapping")
    for row in record.pairs:
        if not all(isinstance(row.get(key), str) and row[key] in record.evaluations for key in ("a", "b")):
            raise UserError(f"{where}: pairs: a row is not of two of {', '.join(record.evaluations)}")


def faults(folder: Path, record: Record) -> tuple[list[str], int]:
    """Files that are not as the record has them, a sentence each, and how many weights are not here.

    A folder that was fetched without its weights is none the worse.
    """
    said, absent = [], 0
    for name, known in record.files.items():
        try:
            path = own(folder, name)
        except FileNotFoundError:
            absent += name.endswith(".safetensors")
            said += [] if name.endswith(".safetensors") else [f"{name}: the file is missing"]
            continue
        size = path.stat().st_size
        if size != known.size:
            said.append(f"{name}: it has {size} bytes, not {known.size}: it was changed or cut")
        elif file_digest(path) != known.xxh3:
            said.append(f"{name}: its digest is not the one in {RECORD}: one of the two was changed")
    ours = (folder / "results", folder / ".eval_results")
    there = [str(path.relative_to(folder)) for place in ours for path, _ in files.files_below(place)]
    said += [f"{name}: {RECORD} does not name this file" for name in there if name not in {*record.files, RECORD}]
    return said, absent


def own(folder: Path, name: str) -> Path:
    """The path of a regular file inside the folder, reached by no link. Raises UserError, FileNotFoundError."""
    if "\0" in name or len(name) > LONGEST:
        raise UserError(f"{folder}: {name[:60]!r} is no name of a file")
    path = folder
    for part in Path(name).parts:
        path = path / part
        kind = files.kind_of(path)
        if kind is None:
            raise FileNotFoundError(path)
        if part in ("/", "..") or kind not in ("file", "directory"):
            raise UserError(f"{folder}: {name!r:.200} leads out of the folder, or is no file; nothing of it was read")
    if not path.is_file():
        raise UserError(f"{path}: this is a folder, and a file is needed")
    return path


def read_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """Rows of layout.ROWS. Raises UserError for a file that is missing, cut, or has other columns or values."""
    try:
        path = own(folder, name)
    except FileNotFoundError:
        raise UserError(f"{name}: the file is missing") from None
    rows = []
    for number, row in parquet_rows(path, ROWS.names, nul=True):
        _check_row(f"{path}: row {number}", row)
        rows.append({key: row[key] for key in ROWS.names})
    return rows


def _check_row(where: str, row: Mapping[str, Any]) -> None:
    for field in ROWS:
        if field.name not in row:
            raise UserError(f"{where}: the column {field.name} is missing")
        value, kind = row[field.name], KINDS[str(field.type)]
        if not (type(value) is kind or (value is None and field.nullable)) or kind is int and abs(value) >= 1 << 63:
            raise UserError(f"{where}: {field.name} is {value!r:.60}, which is no {kind.__name__} of ours")
