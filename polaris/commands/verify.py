"""`polaris verify FOLDER`: are published results what their responses give?"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from polaris.commands.pin import current_commit
from polaris.commands.record import verifying
from polaris.problems.hub import snapshot
from polaris.stage.errors import UserError
from polaris.stage.terminal import say, say_json


def main(folder: str, problems: Sequence[str], as_json: bool) -> bool:
    """Print what differs. Returns whether nothing does. folder: or a repository of the hub, OWNER/NAME.

    Raises UserError where there are no results.
    """
    given = {name: Path(path) for name, path in (_named(one) for one in problems)}
    if Path(folder).exists() or folder.count("/") != 1:
        found = verifying.verify(Path(folder), given)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            commit = current_commit(folder, "model")
            say(f"{folder} at {commit}", sys.stderr)
            fetched = snapshot(folder, commit, "model", ("*",), ("*.safetensors",), Path(scratch) / "fetched")
            found = verifying.verify(fetched, given)
    if as_json:
        say_json({"graded": found.graded, "wrong": found.said, "notes": found.notes})
        return not found.said
    for sentence in (*found.said, *found.notes):
        say(sentence)
    end = f"{len(found.said)} things are not as published" if found.said else "every verdict and number is as published"
    say(f"{found.graded} responses graded again: {end}")
    return not found.said


def _named(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UserError(f"--problems {text}: write BENCHMARK=FILE")
    return name, path
