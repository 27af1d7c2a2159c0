"""Engines, gradings, models and problem sets that a recipe names once, and that its sections refer to.

engines: {wide: {...}, half: {like: wide, dtype: float16}}
inputs: {base_small: qwen3_4b, problems: {rl: {like: boba, max_rows: 500}}}
small_rl: {difficulty: {engine: half}, ...}
large_sft: {traces: {engine: {like: wide, max_num_seqs: 64}}}
"""

from collections.abc import Callable, Iterator
from typing import Any, get_args

from polaris.generation.settings import Engine
from polaris.grading.settings import Grading
from polaris.stage.errors import UserError
from polaris.stage.suggestions import suggestion

# Key of a section -> the block that it may refer to.
BLOCKS = {"engine": "engines", "large_engine": "engines", "vllm": "engines", "grading": "gradings"}
SECTIONS = {"engines": Engine, "gradings": Grading}
ELSEWHERE = {"interpreters"}  # its key vllm is another thing
KINDS = {"hub", "path", "gguf", "tiny", "family", "file"}  # of models and problem sets: the key that only one kind has

Key = tuple[str, ...]


def block_of(place: Key) -> str | None:
    """The block that a value at this place may refer to."""
    match place:
        case ("inputs", "base_small" | "base_large" | "distilled" | "teacher") | ("inputs", "models", _):
            return "models"
        case ("inputs", "problems" | "benchmarks", _):
            return "problem_sets"
    return BLOCKS.get(place[-1])


def merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """`high` over `low`, mapping by mapping; some keys of a named engine over its name are that engine but for them."""
    both = dict(low)
    for key, value in high.items():
        old, new = both.get(key), over_name((key,), both.get(key), value)
        both[key] = merged(old, new) if isinstance(new, dict) and isinstance(old, dict) else new
    return both


def over_name(place: Key, old: Any, new: Any) -> Any:
    """`new`; where it is some keys over the name of an entry, that entry but for these keys."""
    changes = refers(place, old) and isinstance(new, dict) and not replaces(place, new)
    return {"like": old, **new} if changes else new


def replaces(place: Key, new: dict[str, Any]) -> bool:
    """Whether a mapping replaces what a layer below has at this place, in place of changing some keys of it."""
    block = block_of(place)
    if block in SECTIONS:
        return "like" in new
    return bool((KINDS | {"like"} if block else KINDS) & new.keys())


def refers(place: Key, value: Any) -> bool:
    """Whether the value is the name of a block's entry."""
    return block_of(place) is not None and isinstance(value, str)


def references(values: dict[str, Any]) -> Iterator[tuple[Key, Key]]:
    """(where a name stands, what it names), entries of the blocks first and these in an order that resolves them."""
    blocks = _blocks(values)
    done: list[tuple[Key, Key]] = []
    for block, entries in blocks.items():
        for name in entries:
            chain = [name]
            while isinstance(entries.get(chain[-1]), dict) and (like := entries[chain[-1]].get("like")):
                if like in chain:
                    break
                done.append(((block, name), (block, like)))
                chain.append(like)
    yield from done
    rest = {key: value for key, value in values.items() if key not in blocks and key not in ELSEWHERE}
    yield from _references(rest, ())


def _blocks(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Block -> its entries, without those that are null."""
    given = {block: values.get(block) for block in (*SECTIONS, "models", "problem_sets")}
    return {
        block: {name: entry for name, entry in entries.items() if entry is not None}
        if isinstance(entries, dict)
        else {}
        for block, entries in given.items()
    }


def _references(values: Any, at: Key) -> Iterator[tuple[Key, Key]]:
    if isinstance(values, list):
        return
    for key, value in values.items() if isinstance(values, dict) else ():
        place = (*at, key)
        block = block_of(place)
        if block and isinstance(value, str):
            yield place, (block, value)
        elif block and isinstance(value, dict) and "like" in value:
            yield place, (block, value["like"])
        else:
            yield from _references(value, place)


def resolved(values: dict[str, Any], file_of: Callable[[str], str]) -> dict[str, Any]:
    """A copy without the blocks, in which every name is what it stands for.

    file_of: the file of a dotted key, for the error. Raises UserError for an unknown name, a circle, and a part of
    an entry that nothing refers to: a name spelled wrong.
    """
    blocks = _blocks(values)
    used: set[Key] = set()

    def entry(where: str, block: str, given: Any, waiting: tuple[str, ...] = ()) -> Any:
        name, own = (given, {}) if isinstance(given, str) else (given.get("like"), given)
        if name is None:
            return given
        if name in waiting:
            raise UserError(f"{file_of(where)}: {where}: {name} leads back to itself")
        if name not in blocks[block]:
            hint = suggestion(str(name), blocks[block])
            raise UserError(f"{file_of(where)}: {where}: {name} is none of {block}{hint}")
        used.add((block, name))
        low = entry(f"{block}.{name}", block, blocks[block][name], (*waiting, name))
        return merged(low, {key: value for key, value in own.items() if key != "like"})

    def walk(part: Any, at: Key) -> Any:
        if isinstance(part, list):
            return [walk(item, at) for item in part]
        if not isinstance(part, dict):
            return part
        copy = {}
        for key, value in part.items():
            if (block := block_of((*at, key))) and isinstance(value, str | dict):
                copy[key] = entry(".".join((*at, key)), block, value)
            else:
                copy[key] = value if not at and key in ELSEWHERE else walk(value, (*at, key))
        return copy

    whole = walk({key: value for key, value in values.items() if key not in blocks}, ())
    for block, entries in blocks.items():
        for name in [name for name in entries if (block, name) not in used]:
            where = f"{block}.{name}"
            if absent := _absent(block, entry(where, block, {"like": name})):
                hint = suggestion(name, [other for other in entries if other != name])
                raise UserError(f"{file_of(where)}: {where}: no section refers to it, and it has no {absent}{hint}")
    return whole


def _absent(block: str, entry: dict[str, Any]) -> str | None:
    """A key that is needed and that an entry has not; None for a whole one."""
    if block not in SECTIONS:
        return None if KINDS & entry.keys() else " or ".join(sorted(KINDS))
    fields = SECTIONS[block].model_fields
    needed = {key for key, field in fields.items() if key != "device" and type(None) not in get_args(field.annotation)}
    return min(needed - set(entry), default=None)
