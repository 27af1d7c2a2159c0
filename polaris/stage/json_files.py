r"""JSON that others wrote: one strict reader, whose errors name the file, the line and the remedy.

RFC 8259 in UTF-8, after a byte order mark or without one. Refused besides what is no JSON: NaN and Infinity, numbers
that Python does not hold, half of a surrogate pair (`"\ud83d"`, which no file can hold again), deep nesting, files of
no bounded length and what is no file at all.
"""

import gzip
import io
import itertools
import json
import math
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from polaris.stage.errors import UserError

FILE_LIMIT = 1 << 30  # bytes of a file that is read as a whole
LINE_LIMIT = 16 << 20  # bytes of a line; the longest problems and responses have some 100,000
DEPTH = 64  # lists and objects inside each other
BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_OR_NUL = re.compile("[\0\ud800-\udfff]")
_BLANKS = re.compile(r"[ \t\n\r]*")
Readable = IO[bytes] | io.BufferedIOBase
_KINDS = (
    (stat.S_ISDIR, "a directory: name a file in it"),
    (stat.S_ISFIFO, "a pipe, which can be read once only: write it to a file first"),
    (stat.S_ISREG, ""),
)


class _Refused(ValueError):
    """A number that is JSON, or nearly, and that no row may have."""


def open_file(path: Path) -> io.BufferedIOBase:
    """A regular file, open for reading; unpacked while it is read where its name ends in .gz.

    Raises UserError where there is none, it is something else (a directory, a pipe, a device) or may not be read.
    """
    try:
        mode = path.stat().st_mode
        kind = next((text for test, text in _KINDS if test(mode)), "a device: name a file")
        if kind:
            raise UserError(f"{path}: this is {kind}")
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: there is no such file; correct its path") from None
    except OSError as error:
        raise UserError(f"{path}: it cannot be read ({error.strerror}); see to its path and its rights") from None


def decoded_lines(file: Readable, path: Path, unit: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text with its end) of all lines of an open file. Raises UserError naming the line.

    path, unit: how errors call it: `path: line 3`
    """
    for number in itertools.count(1):
        line = _read(file, LINE_LIMIT + 1, path, whole=False)
        if len(line) > LINE_LIMIT:
            raise UserError(
                f"{path}: {unit} {number} has more than {LINE_LIMIT >> 20} MiB; is it the file that is meant?"
            )
        if not line:
            return
        yield number, _decoded(line, path, number, unit)


def numbered_lines(file: Readable, path: Path, unit: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of the lines that are not blank. Raises UserError as `decoded_lines`."""
    return ((number, line) for number, text in decoded_lines(file, path, unit) if (line := text.strip()))


def read_text(path: Path) -> str:
    """The whole text of a file of at most FILE_LIMIT bytes. Raises UserError as `decoded_lines`."""
    with open_file(path) as file:
        data = _read(file, FILE_LIMIT + 1, path, whole=True)
    if len(data) > FILE_LIMIT:
        raise UserError(f"{path}: it has more than {FILE_LIMIT >> 30} GiB; a list of so many rows is read as .jsonl")
    return _decoded(data, path, 1, "line")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises UserError naming the line and what is wrong with it."""
    text = read_text(path)
    value, end = decode(text, _past_blanks(text, 0), f"{path}: line")
    if text[end:].strip():
        line = text.count("\n", 0, _past_blanks(text, end)) + 1
        raise UserError(f"{path}: line {line}: there is more after the end of the JSON value; remove it")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UserError as `read_json`, and when it is something else."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: this is {_kind(value)}, and an object in braces is needed")
    return value


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line from 1, object) of a JSON Lines file; blank lines are passed over. Raises UserError naming the line."""
    with open_file(path) as file:
        for number, text in numbered_lines(file, path, "line"):
            yield number, line_object(text, f"{path}: line", number)


def json_list(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line of its beginning, object) of a JSON file that is a list of objects, or one object a line.

    Raises UserError naming the line.
    """
    text = read_text(path)
    place = _past_blanks(text, 0)
    if text[place : place + 1] != "[":
        yield from json_lines(path)
        return
    line, counted, mark = 1, 0, "["
    while mark != "]":
        place = _past_blanks(text, place + 1)
        line, counted = line + text.count("\n", counted, place), place
        if mark == "[" and text[place : place + 1] == "]":
            break
        row, place = decode(text, place, f"{path}: line", bad=_SURROGATE_OR_NUL)
        if not isinstance(row, dict):
            raise UserError(f"{path}: line {line}: this is {_kind(row)} in a list of rows; each must be an object")
        yield line, row
        place = _past_blanks(text, place)
        mark = text[place : place + 1]
        if mark not in (",", "]"):
            where = f"{path}: line {text.count(chr(10), 0, place) + 1}"
            raise UserError(f"{where}: the list of rows is cut off here, or a comma is missing; write the file again")
    if text[place + 1 :].strip():
        raise UserError(f"{path}: there is more after the end of the list; remove it")


def line_object(text: str, where: str, number: int, nul: bool = False) -> dict[str, Any]:
    """The object that a line of JSON Lines is. nul: whether its texts may hold NUL, as those of a model may.

    Raises UserError that begins with `where` and the line's number.
    """
    row, end = decode(text, 0, where, number, _SURROGATE if nul else _SURROGATE_OR_NUL)
    if not isinstance(row, dict):
        raise UserError(f"{where} {number} is {_kind(row)}, not a JSON object; each line must be one")
    if text[end:].strip():
        raise UserError(f"{where} {number} is not JSON: there is more after its object; write one object a line")
    return row


def decode(
    text: str, start: int, where: str, first_line: int = 1, bad: re.Pattern[str] = _SURROGATE
) -> tuple[Any, int]:
    """(value, end) of the JSON value that begins at `start`.

    where: `file: line`, for errors; first_line: the number of the text's first line there; bad: what no text may have
    Raises UserError naming the line.
    """

    def line(place: int) -> str:
        before = text.count("\n", 0, place)
        return f"{where} {first_line + before}"

    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        what = f"column {error.colno}: {error.msg}"
        raise UserError(f"{line(error.pos)} is not JSON ({what}); correct it, or write the file again") from None
    except _Refused as error:
        raise UserError(f"{line(start)} has {error}") from None
    except RecursionError:
        raise UserError(f"{line(start)} has lists or objects more than {DEPTH} deep; flatten them") from None
    except ValueError:  # sys.get_int_max_str_digits()
        raise UserError(f"{line(start)} has a number of thousands of digits; write it as text, in quotes") from None
    if fault := _fault(value, bad):
        raise UserError(f"{line(start)} has {fault}")
    return value, end


def _past_blanks(text: str, place: int) -> int:
    blanks = _BLANKS.match(text, place)
    return blanks.end() if blanks else place


def _decoded(data: bytes, path: Path, number: int, unit: str) -> str:
    def place(end: int) -> str:
        before = data.count(b"\n", 0, end)
        return f"{path}: {unit} {number + before}"

    if number == 1:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:2].count(0) == 1:
            raise UserError(f"{path}: this is UTF-16 or UTF-32; convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW")
        data = data.removeprefix(BOM)
    if 0 in data:
        raise UserError(f"{place(data.index(0))} has a NUL character; remove it, or write the file again")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place(error.start)} is not UTF-8 (byte 0x{data[error.start]:02x}); convert it from the encoding it "
            "has, such as latin1 or gb18030: iconv -f latin1 -t UTF-8 OLD > NEW"
        ) from None


def _read(file: Readable, size: int, path: Path, whole: bool) -> bytes:
    try:
        return file.read(size) if whole else file.readline(size)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: this is not a whole gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: it cannot be read ({error.strerror}); copy it from a sound disk") from None


def _fault(value: Any, bad: re.Pattern[str]) -> str | None:
    """What a JSON value must not have, in words."""
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str):
            if found := bad.search(item):
                what = "a NUL character" if found[0] == "\0" else f"half of a surrogate pair (\\u{ord(found[0]):x})"
                return f"{what} in a text; remove it"
        elif isinstance(item, list | dict):
            if depth > DEPTH:
                return f"lists or objects more than {DEPTH} deep; flatten them"
            parts = item if isinstance(item, list) else [*item, *item.values()]
            waiting += [(part, depth + 1) for part in parts]
    return None


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _constant(name: str) -> float:
    raise _Refused(f"the number {name}, which is no JSON; write null, or text in quotes")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused(f"the number {text:.40}, which is too large; write it as text, in quotes")
    return number


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_float)
