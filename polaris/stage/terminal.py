"""What a person sees of a command: plain lines and tables, and one sentence where it cannot go on."""

import atexit
import contextlib
import errno
import io
import json
import os
import pwd
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from polaris.stage.errors import UserError

ERRORS = "POLARIS_ERRORS"  # environment variable: a file that collects the sentences of a workflow's jobs
NONE = "–"  # a cell of a table without a value
INTERRUPTED, BROKEN_PIPE = 130, 141  # exit statuses as a shell gives them: 128 + SIGINT, 128 + SIGPIPE
NO_SPACE = os.strerror(errno.ENOSPC)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAKE_ROOM = "make room there and run it again"
REMEDIES = {
    errno.EROFS: "choose a place that can be written",
    errno.ENOENT: "it was moved, removed or never made",
    errno.EIO: "its disk or network file system fails",
    errno.ESTALE: "its network file system was away; run it again",
}


def printable(text: str) -> str:
    """The text with its control and format characters (Unicode's Other, line and paragraph separators) as escapes.

    Line ends and tabs stay. Names, ids and answers are other people's: an escape sequence would rule the terminal.
    """
    return "".join(char if char in "\n\t" or _is_shown(char) else ascii(char)[1:-1] for char in text)


def _is_shown(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] != "C" and category not in ("Zl", "Zp")


def say(text: str, out: TextIO | None = None) -> None:
    """Print a line, or several, for people. out: stdout"""
    print(printable(text), file=out or sys.stdout, flush=True)


def say_json(values: object) -> None:
    """Print values as JSON, for programs: ASCII alone, so that no terminal is ruled by it."""
    print(json.dumps(values, indent=1, default=str), flush=True)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their longest cell, a rule under the head; a line end in a cell is shown as an escape."""
    rows = [[printable(cell).replace("\n", "\\n") for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    text = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [text[0], "  ".join("-" * width for width in widths), *text[1:]]


def run(main: Callable[[], object]) -> None:
    """Run what a person or a rule started; what a person can mend ends it with one sentence on stderr.

    Exit status 1 for that, 130 for Ctrl-C, 141 where the reader of the output is gone. Everything else is a fault of
    the code and keeps its traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 shows what it can
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        _end(str(error), 1)
    except KeyboardInterrupt:
        _end("stopped by Ctrl-C; the same command goes on", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        sys.exit(BROKEN_PIPE)  # without a word: whoever types `| head` wants no more
    except Exception as error:
        sentence = explained(error)
        if sentence is None:
            raise
        _end(sentence, 1)


def explained(error: Exception, place: Path | None = None) -> str | None:
    """A sentence for an error of the file system: what, where, what to do; None for any other.

    place: what was written, for a full disk that the error does not name
    """
    if is_disk_full(error):
        where = (error.filename if isinstance(error, OSError) else None) or place
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else NO_SPACE
        return f"{where}: {reason}; {MAKE_ROOM}" if where else f"{reason}; {MAKE_ROOM}"
    if isinstance(error, FileNotFoundError) and error.filename is None:  # pyarrow, safetensors: the path is in the text
        text, reason = error.strerror or str(error), os.strerror(errno.ENOENT)
        return f"{text if reason in text else f'{text}: {reason}'}; {REMEDIES[errno.ENOENT]}"
    if not isinstance(error, OSError) or not isinstance(error.filename, str | bytes | os.PathLike):
        return None
    path = Path(os.fsdecode(error.filename))
    if error.errno in (errno.EACCES, errno.EPERM):
        remedy = f"it belongs to {_owner(path)}: ask for access, or choose another place"
    else:
        remedy = REMEDIES.get(error.errno or 0)
    return f"{path}: {error.strerror}" + (f"; {remedy}" if remedy else "")


def is_disk_full(error: Exception) -> bool:
    """Whether a write found no room, also where a library hides the number (safetensors, pyarrow)."""
    if isinstance(error, UserError):
        return False
    return (isinstance(error, OSError) and error.errno in DISK_FULL) or NO_SPACE in str(error)


def collect_errors(folder: Path) -> None:
    """The jobs that this workflow will start leave the sentence that they fail with in a file in `folder`.

    Where an outer workflow collects them already (a job of Slurm's is one of its own), it goes on doing so.
    """
    os.environ.setdefault(ERRORS, str(folder.absolute() / f"errors-{os.getpid()}.txt"))


def say_errors_last() -> None:
    """Say at the end of this process what the failed jobs left, after the workflow's echo of their commands."""
    path = Path(os.environ[ERRORS])

    def last_words() -> None:
        with contextlib.suppress(OSError):
            sentences = path.read_text(encoding="utf-8").splitlines()
            path.unlink()
            say("\n".join(f"error: {sentence}" for sentence in dict.fromkeys(sentences)), sys.stderr)

    atexit.register(last_words)


def _owner(path: Path) -> str:
    """The owner of a path, or of the folder that it would lie in."""
    try:
        while not path.exists() and path != path.parent:
            path = path.parent
        user = path.stat().st_uid
    except OSError:
        return "another user"
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _end(text: str, status: int) -> None:
    """Print an error, leave its first line to the workflow that started this process, and exit."""
    with contextlib.suppress(OSError):
        say(f"error: {text}", sys.stderr)
    if path := os.environ.get(ERRORS):
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(printable(text).partition("\n")[0].rstrip(":") + "\n")
    sys.exit(status)
