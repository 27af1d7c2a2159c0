"""Rows of a parquet file that others made, read in a process of bounded memory.

A few thousand bytes of parquet may stand for many gigabytes of rows, in one page, one list or one repeated value, and
what is broken may crash the library. So each file has a process, which reads a few rows at a time and writes each as a
line of JSON. It is forked from one that has the library and waits for the next file: `python -m
polaris.stage.parquet_rows`, whose lines are

    in   {"path": FILE, "columns": [...]}
    out  the rows, and at their end =[STATUS, WORDS]: that of the process, and what it wrote to stderr
"""

import contextlib
import ctypes
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.json_files import line_object, numbered_lines, open_file
from polaris.stage.subprocesses import PR_SET_PDEATHSIG

MEMORY = 2 << 30  # bytes of address space; reading a file that was written in earnest takes about a quarter of it
BATCH = 64  # rows at a time
BUFFER = 1 << 20  # bytes of a column that are read ahead
REFUSED = 3  # exit status with a sentence for people on stderr
END = "="  # begins the line after the rows, none of which does
KEPT = 2  # processes that wait: each takes .2 CPU seconds to start
Convert = Callable[[Any], Any]


def parquet_rows(path: Path, columns: Collection[str], nul: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row from 1, values as JSON has them) of a parquet file; NaN is null, a decimal is text.

    columns: the names, in small letters, whose values are read; those of the others are None
    nul: whether texts may hold NUL, as those of a model may
    Raises UserError when it is no such file, needs too much memory, or a column has values that JSON cannot say.
    """
    open_file(path).close()
    child, outcome = _waiting_child(), None
    assert child.stdin and child.stdout
    try:
        with contextlib.suppress(BrokenPipeError):  # it has ended: its status tells why
            child.stdin.write(json.dumps({"path": str(path.absolute()), "columns": [*columns]}).encode() + b"\n")
            child.stdin.flush()
        for number, text in numbered_lines(child.stdout, path, "row"):
            if text.startswith(END):
                outcome = json.loads(text.removeprefix(END))
                break
            yield number, line_object(text, f"{path}: row", number, nul)
    finally:
        if outcome and len(_waiting) < KEPT:
            _waiting.append((os.getpid(), child))
        else:
            child.kill()
            child.communicate()
    status, error = outcome or (child.returncode, "")
    if status == REFUSED:
        raise UserError(f"{path}: {error}")
    if error or status:
        reason = (error.splitlines() or [f"exit status {status}"])[-1]
        raise UserError(f"{path}: reading it as parquet ended in a crash ({reason:.200}); write it again, or as .jsonl")


_waiting: list[tuple[int, subprocess.Popen]] = []  # by the process that started it: a fork of that has pipes in common


def _waiting_child() -> subprocess.Popen:
    while _waiting:
        owner, child = _waiting.pop()
        if owner == os.getpid() and child.poll() is None:
            return child
    search = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # One thread and the allocator of the system: what they reserve counts as used.
    env = {"PYTHONPATH": search, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "polaris.stage.parquet_rows"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **env},
    )


def _converter(kind: pa.DataType) -> Convert | None:
    """Arrow's Python value -> the one for JSON; None: JSON has no such values."""
    if types.is_dictionary(kind):
        return _converter(kind.value_type)
    if types.is_decimal(kind):
        return _unless_null(str)
    if types.is_float16(kind) or types.is_float32(kind):  # 0.1 of 32 bits is written 0.1
        return _unless_null(lambda value: None if math.isnan(value) else float(str(np.float32(value))))
    if types.is_float64(kind):
        return _unless_null(lambda value: None if math.isnan(value) else value)
    if any(test(kind) for test in (types.is_integer, types.is_boolean, types.is_null, _is_text)):
        return lambda value: value
    if types.is_struct(kind):
        parts = {field.name: part for field in kind if (part := _converter(field.type))}
        whole = len(parts) == kind.num_fields
        return _unless_null(lambda value: {name: parts[name](item) for name, item in value.items()}) if whole else None
    if hasattr(kind, "value_type") and not types.is_map(kind) and (inner := _converter(kind.value_type)):
        return _unless_null(lambda value: [inner(item) for item in value])
    return None


def _is_text(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _unless_null(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


class _Refused(Exception):
    """What is wrong with the file, in words that follow its name."""


def _write(path: Path, columns: Collection[str]) -> None:
    file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
    schema = file.schema_arrow
    convert: dict[str, Convert] = {}
    for field in schema:
        if field.name.lower() in columns and field.name not in convert:
            converter = _converter(field.type)
            if converter is None:
                raise _Refused(f"column {field.name} is of type {field.type}; write it as text, a number or a list")
            convert[field.name] = converter
    empty, number = dict.fromkeys(schema.names), 0
    for batch in file.iter_batches(BATCH, columns=list(convert), use_threads=False):
        cells = [(name, batch.column(batch.schema.names.index(name)), read) for name, read in convert.items()]
        for place in range(batch.num_rows):
            number += 1
            try:
                row = {name: read(column[place].as_py()) for name, column, read in cells}
            except UnicodeDecodeError:
                raise _Refused(f"row {number} has a text that is not UTF-8; write the file again from its source")
            print(json.dumps(empty | row))


def _read(path: Path, columns: set[str]) -> int:
    """Write the rows; the exit status of the process that does nothing else."""
    try:
        _write(path, columns)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:  # the reader has what it wants
        return 0
    except _Refused as error:
        text = str(error)
    except MemoryError:
        text = f"a few rows of it need more than {MEMORY >> 30} GiB of memory; is it the file that is meant?"
    except Exception as error:  # noqa: BLE001 (whatever the library makes of a broken file)
        text = f"this is not a readable parquet file ({' '.join(str(error).split()):.200}); write or fetch it again"
    sys.stdout.flush()
    os.write(2, text.encode(errors="replace"))
    return REFUSED


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    bound = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as errors:
            if not (child := os.fork()):
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                os.dup2(errors.fileno(), 2)
                os._exit(_read(Path(request["path"]), set(request["columns"])))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip()
        print(f"\n{END}{json.dumps([status, words])}", flush=True)


if __name__ == "__main__":
    main()
