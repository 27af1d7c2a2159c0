"""Rows of a parquet file that others made, read in a process of bounded memory.

A few thousand bytes of parquet may stand for many gigabytes of rows, in one page, one list or one repeated value, and
what is broken may crash the library. So a child reads, a few rows at a time, and writes each as a line of JSON:

    python -m polaris.stage.parquet_rows FILE COLUMN [COLUMN ...]
"""

import json
import math
import os
import resource
import subprocess
import sys
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

MEMORY = 2 << 30  # bytes of address space; reading a file that was written in earnest takes about a quarter of it
BATCH = 64  # rows at a time
BUFFER = 1 << 20  # bytes of a column that are read ahead
REFUSED = 3  # exit status with a sentence for people on stderr
Convert = Callable[[Any], Any]


def parquet_rows(path: Path, columns: Collection[str], nul: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row from 1, values as JSON has them) of a parquet file; NaN is null, a decimal is text.

    columns: the names, in small letters, whose values are read; those of the others are None
    nul: whether texts may hold NUL, as those of a model may
    Raises UserError when it is no such file, needs too much memory, or a column has values that JSON cannot say.
    """
    open_file(path).close()
    search = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # One thread and the allocator of the system: what they reserve counts as used.
    env = {"PYTHONPATH": search, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "polaris.stage.parquet_rows", str(path), *columns],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **env},
    )
    with child:
        assert child.stdout and child.stderr
        try:
            for number, text in numbered_lines(child.stdout, path, "row"):
                yield number, line_object(text, f"{path}: row", number, nul)
            error = child.stderr.read().decode(errors="replace")
        finally:
            child.kill()
    if child.returncode == REFUSED:
        raise UserError(f"{path}: {error.strip()}")
    if error or child.returncode:
        reason = (error.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
        raise UserError(f"{path}: reading it as parquet ended in a crash ({reason:.200}); write it again, or as .jsonl")


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


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    bound = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    try:
        _write(Path(sys.argv[1]), set(sys.argv[2:]))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has what it wants
        os._exit(0)
    except _Refused as error:
        text = str(error)
    except MemoryError:
        text = f"a few rows of it need more than {MEMORY >> 30} GiB of memory; is it the file that is meant?"
    except Exception as error:  # noqa: BLE001 (whatever the library makes of a broken file)
        text = f"this is not a readable parquet file ({' '.join(str(error).split()):.200}); write or fetch it again"
    else:
        return
    sys.stdout.flush()
    print(text, file=sys.stderr)
    os._exit(REFUSED)


if __name__ == "__main__":
    main()
