"""Which files of a pinned data set hold a split. They are its own: what README.md names elsewhere is refused.

README.md is the data set's, not ours: a path out of the repository would read a private file of this machine into the
run, an address something that no revision pins.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from polaris.problems.hub import snapshot
from polaris.problems.settings import HubProblems
from polaris.stage.errors import UserError
from polaris.stage.json_files import read_text

# README.md holds which files belong to which configuration and split.
DATA_FILES = ("*.parquet", "*.jsonl", "*.json", "*.csv", "*.jsonl.gz", "*.json.gz", "*.csv.gz", "README.md")
DEPTH = 64  # brackets within each other in a README's YAML
RULE = "---"  # the line before and after a README's YAML


def split_files(settings: HubProblems, cache: Path) -> list[Path]:
    """The files of `settings.files`, else of the split, in order. cache: a folder for the library's own files.

    Raises UserError when the data set is unpinned, out of reach, has no such files, or names some that are not its own.
    """
    folder = snapshot(settings.hub, settings.revision, "dataset", settings.files or DATA_FILES)
    if settings.files is None:
        _check_readme(settings.hub, folder)
        files = _declared_files(settings, folder, cache)
    else:
        _check_names(settings.hub, settings.files, "`files` of the recipe")
        files = sorted({path for pattern in settings.files for path in folder.glob(pattern)})
        if not files:
            raise UserError(
                f"{settings.hub}: no file at revision {settings.revision} is named {', '.join(settings.files)}"
            )
    own = folder.resolve().parents[1]  # snapshots/<revision> has links to blobs/, both in the repository's folder
    for path in files:
        if not path.is_relative_to(folder) or not path.resolve().is_relative_to(own):
            raise UserError(f"{settings.hub}: {path} is not a file of this data set; name its own in `files`")
    return files


def _declared_files(settings: HubProblems, folder: Path, cache: Path) -> list[Path]:
    import datasets

    try:
        builder = datasets.load_dataset_builder(str(folder), name=settings.config, cache_dir=str(cache))
        splits = builder.config.data_files or {}
    except Exception as error:  # noqa: BLE001 (a README of any content decides what the library raises)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{settings.hub}: config {settings.config}, split {settings.split} cannot be read at revision "
            f"{settings.revision} ({reason:.300}); name its files in `files`"
        ) from None
    if settings.split not in splits:
        raise UserError(
            f"{settings.hub}: config {settings.config}, split {settings.split} cannot be read at revision "
            f"{settings.revision}: its splits are {', '.join(map(str, splits)) or 'none'}"
        )
    return [Path(file) for file in splits[settings.split]]


def _check_readme(hub: str, folder: Path) -> None:
    """Before the library follows what README.md says. Raises UserError when it names files that are not its own."""
    readme = folder / "README.md"
    if not readme.is_file():
        return
    head, *rest = read_text(readme).splitlines() or [""]
    if head.strip() != RULE:
        return
    text = "\n".join(itertools.takewhile(lambda line: line.rstrip() != RULE, rest))
    depths = itertools.accumulate((sign in "[{") - (sign in "]}") for sign in text)
    try:
        if max(depths, default=0) > DEPTH:  # before PyYAML, whose time grows with its square
            raise RecursionError(f"more than {DEPTH} brackets deep")
        aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader))
        values = {} if aliases else yaml.safe_load(text)
        configs = values.get("configs") if isinstance(values, dict) else None
        dicts = [config for config in configs if isinstance(config, dict)] if isinstance(configs, list) else []
        names = [name for config in dicts for key in ("data_files", "data_dir") for name in _texts(config.get(key))]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{readme}: its first lines are not YAML ({reason:.200}); name the data's `files`") from None
    if aliases:
        raise UserError(f"{readme}: an alias (*) in its YAML may stand for any amount; name the data's `files`")
    _check_names(hub, names, str(readme))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value if isinstance(value, list) else value.values():
            yield from _texts(item)


def _check_names(hub: str, names: list[str], where: str) -> None:
    for name in names:
        if not name or name.startswith(("/", "~")) or ":" in name or "\\" in name or ".." in name.split("/"):
            raise UserError(
                f"{hub}: {where} names {name!r:.200}, which is no file of this data set; a pinned one reads its own "
                "files only: name them in `files`"
            )
