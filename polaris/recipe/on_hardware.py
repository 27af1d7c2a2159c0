"""A recipe's values with those that its `hardware` decides, each with the line of `hardware` as its origin."""

import copy
from typing import Any

from pydantic import TypeAdapter, ValidationError

from polaris.hardware.expansion import expansion
from polaris.hardware.parts import Parts
from polaris.hardware.settings import CPU, GpusOrCpu, Hardware
from polaris.recipe.layers import HARDWARE, Key, Origin
from polaris.recipe.recipe_files import on_device
from polaris.stage.errors import UserError
from polaris.stage.settings import describe


def expanded(values: dict[str, Any], origins: dict[Key, Origin]) -> tuple[dict[str, Any], dict[Key, Origin]]:
    """A copy with the sizes that the hardware decides. What its own layer or a higher one gives is by hand, and stays.

    values: whole, without names. Raises UserError for wrong hardware, and for what does not fit on it or exceeds it.
    """
    if (given := values.get(HARDWARE)) is None:
        return values, origins
    origin = origins[HARDWARE,]
    try:
        hardware = TypeAdapter(GpusOrCpu).validate_python(given)
    except ValidationError as error:
        if not isinstance(given, dict):
            raise UserError(
                f"{origin}: {HARDWARE}: {given!r:.40} is neither {CPU} nor {{nodes: 1, gpus_per_node: 8, gpu: ...}}"
            ) from None
        raise UserError(describe(error, f"{origin}: {HARDWARE}", Hardware)) from None

    def free(key: Key) -> bool:
        return _at(values, key) is None or (key in origins and origins[key].beneath_hardware)

    parts = Parts(on_device(values, "cpu" if hardware == CPU else "cuda"), free, f"{origin}: {HARDWARE}")
    whole, stated = copy.deepcopy(values), dict(origins)
    for key, value in expansion(parts, hardware).items():
        old = _at(values, key)
        _set(whole, key, value)
        stated[key] = Origin(f"{HARDWARE} ({origin})", 0, replaced=old if old != value else None)
    if isinstance(hardware, Hardware):
        _refuse_more(whole, stated, hardware, origin)
    return whole, stated


def _refuse_more(values: dict[str, Any], origins: dict[Key, Origin], hardware: Hardware, origin: Origin) -> None:
    """Raises UserError where more nodes, or more GPUs of a node, are given by hand than there are."""
    most = {"nodes": hardware.nodes, "gpus_per_node": hardware.gpus_per_node}
    for key, own in origins.items():
        if key[-1] in most and isinstance(value := _at(values, key), int) and value > most[key[-1]]:
            raise UserError(
                f"{own}: {'.'.join(key)}: {value}, but {HARDWARE} ({origin}) has {most[key[-1]]}; change one of them"
            )


def _at(values: Any, key: Key) -> Any:
    for name in key:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _set(values: dict[str, Any], key: Key, value: Any) -> None:
    for name in key[:-1]:
        values = values.setdefault(name, {})
    values[key[-1]] = value
