"""`polaris pin configs/x.yaml`: every unpinned hub id of a recipe gets its current commit, in place.

Only the word `unpinned` is replaced: comments, order and every other byte stay. Shipped models and sets that the recipe
names are pinned in a block of the recipe (pin_names.py).
"""

import argparse
import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from polaris.commands.pin_names import KINDS, unpinned_names, with_pins
from polaris.problems.hub import Kind
from polaris.problems.settings import UNPINNED
from polaris.recipe.layers import extended
from polaris.stage.errors import UserError
from polaris.stage.terminal import say

DATASET_KEYS = {"split"}  # a section with one of these keys is a data set, else it is a model


@dataclasses.dataclass(frozen=True)
class Unpinned:
    """A `revision: unpinned` beside a `hub:`; start and end are character positions of the word in the file, both 0 for
    what the file only names.
    """

    hub: str
    kind: Kind
    start: int
    end: int


def unpinned(text: str) -> list[Unpinned]:
    """Every unpinned hub id of a YAML text, in order. Raises yaml.YAMLError when it is no YAML."""
    items = []

    def visit(node: yaml.Node | None) -> None:
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                visit(item)
        elif isinstance(node, yaml.MappingNode):
            entries = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
            hub, revision = entries.get("hub"), entries.get("revision")
            if (
                isinstance(hub, yaml.ScalarNode)
                and isinstance(revision, yaml.ScalarNode)
                and revision.value == UNPINNED
            ):
                kind: Kind = "dataset" if DATASET_KEYS & entries.keys() else "model"
                quoted = bool(revision.style)
                place = revision.start_mark.index + quoted, revision.end_mark.index - quoted
                items.append(Unpinned(hub.value, kind, *place))
            for _, value in node.value:
                visit(value)

    visit(yaml.compose(text, Loader=yaml.SafeLoader))
    return sorted(set(items), key=lambda item: item.start)


def current_commit(repo_id: str, kind: Kind) -> str:
    """The present commit of the main branch of a repository on the hub: 40 hex digits.

    Raises UserError without a network, and for an id that the hub does not know.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage] # httpx's, whichever it is
    )

    api = HfApi()
    try:
        info = api.model_info(repo_id, timeout=20) if kind == "model" else api.dataset_info(repo_id, timeout=20)
    except (HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"hub: {kind} {repo_id}: the hub has no answer for it ({reason}); nothing was pinned") from None
    except (HTTPError, OSError) as error:  # what httpx, the hub's offline mode and sockets raise
        raise UserError(
            f"the hub ({api.endpoint}) cannot be reached from here ({type(error).__name__}), so nothing was pinned; "
            "run this where there is a network"
        ) from None
    if info.sha is None:
        raise UserError(f"hub: {kind} {repo_id}: the hub ({api.endpoint}) names no commit for it; nothing was pinned")
    return info.sha


def pin(path: Path) -> list[tuple[Unpinned, str]]:
    """Rewrite one recipe file. Returns what was pinned, each with its commit. On any error the file stays as it was.

    Raises UserError for a file that is missing or no YAML, and as `current_commit`.
    """
    try:
        # Bytes, not text: line ends must survive.
        text = path.read_bytes().decode("utf-8")
        wanted = unpinned(text)
        names = unpinned_names(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this is not YAML ({' '.join(str(error).split())})") from None
    commits: dict[tuple[str, Kind], str] = {}
    given = {name: Unpinned(name.hub, KINDS[name.block], 0, 0) for name in names}
    for item in (*wanted, *given.values()):
        if (item.hub, item.kind) not in commits:
            commits[item.hub, item.kind] = current_commit(item.hub, item.kind)
    pinned = [(item, commits[item.hub, item.kind]) for item in wanted]
    for item, commit in reversed(pinned):
        quotes = "'" if commit.isdigit() and text[item.start - 1] not in "'\"" else ""
        text = text[: item.start] + quotes + commit + quotes + text[item.end :]
    text = with_pins(text, {name: commits[item.hub, item.kind] for name, item in given.items()}, path)
    pinned += [(item, commits[item.hub, item.kind]) for item in given.values()]
    if pinned:
        replace(path.resolve(), text.encode("utf-8"))
    return pinned


def replace(path: Path, data: bytes) -> None:
    """Give a person's file other bytes: all of them or none, and nothing else in its folder changes."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as partial:
        try:
            partial.write(data)
            os.fchmod(partial.fileno(), path.stat().st_mode & 0o777)
            partial.flush()
            os.replace(partial.name, path)
        except BaseException:
            os.unlink(partial.name)
            raise


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of `polaris pin`. Raises UserError."""
    parser = argparse.ArgumentParser(prog="polaris pin", description=__doc__)
    parser.add_argument("config", nargs="+", type=Path, help="recipe files")
    for path in parser.parse_args(argv).config:
        pinned = pin(path)
        for item, commit in pinned:
            say(f"{path}: {item.kind} {item.hub} is now pinned to {commit}")
        if not pinned:
            say(f"{path}: nothing is unpinned")
        for below in extended(path):
            if left := len(unpinned(below.read_text(encoding="utf-8"))):
                say(f"{path} extends {below}, where {left} are unpinned: polaris pin {below}")
