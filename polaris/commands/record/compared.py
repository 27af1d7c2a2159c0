"""Numbers as they were published against the numbers of now, and the hub's files against the record."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from polaris.commands.record.hub_results import hub_files
from polaris.commands.record.layout import HUB, RECORD, Record
from polaris.commands.record.reading import own
from polaris.stage.errors import UserError
from polaris.stage.json_files import read_text

LONGEST = 10_000  # characters of one of the hub's files


def different(key: str, stored: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]], near: float) -> list[str]:
    """A sentence for every value that is another. near: how far apart two numbers may lie"""
    if len(stored) != len(now):
        return [f"{RECORD}: {key}: there are {len(stored)} rows, and the responses give {len(now)}"]
    return [
        f"{RECORD}: {key}, {' − '.join(new[one] for one in ('name', 'a', 'b') if one in new)} on {new['benchmark']}: "
        f"{name} is {old.get(name)!r:.60}, and the responses give {value}"
        for old, new in zip(stored, now, strict=True)
        for name, value in new.items()
        if not _alike(old.get(name), value, near)
    ]


def _alike(old: Any, new: Any, near: float) -> bool:
    if isinstance(new, list):
        return isinstance(old, list) and len(old) == len(new) and all(map(_alike, old, new, [near] * len(new)))
    if isinstance(new, float) and type(old) in (int, float):
        return abs(old - new) <= near
    return old == new


def hub_faults(folder: Path, record: Record, near: float) -> list[str]:
    """What `.eval_results` says otherwise than the responses, a sentence for each key.

    record: with the scores of now; near: as of `different`
    """
    said = []
    for name, text in hub_files(record, None).items() if (folder / HUB).is_dir() else ():
        try:
            written = read_text(own(folder, name))
            entries = yaml.safe_load(written) if len(written) <= LONGEST else None
        except FileNotFoundError:
            said.append(f"{name}: the file is missing")
            continue
        except (UserError, yaml.YAMLError, ValueError, RecursionError):
            entries = None
        (wanted,) = yaml.safe_load(text)
        entry = entries[0] if isinstance(entries, list) and len(entries) == 1 else None
        if not isinstance(entry, dict):
            said.append(f"{name}: this is not one result in the hub's format")
            continue
        said += [
            f"{name}: {key} is {entry.get(key)!r:.80}, and the responses give {value!r:.80}"
            for key, value in wanted.items()
            if not _alike(entry.get(key), value, 100 * near) and not (near and key == "notes")
        ]
    return said
