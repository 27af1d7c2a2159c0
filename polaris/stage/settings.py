"""Base class of the recipe's sections, and the pieces that several sections share.

Every section is frozen, refuses unknown keys and has no default for a recipe's value: what a run does is written in
its YAML file and nowhere else. A field's unit and bounds stand in its type.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from polaris.stage.errors import UserError
from polaris.stage.files import read_bytes
from polaris.stage.suggestions import suggestion

S = TypeVar("S", bound="Section")

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Device = Annotated[
    Literal["cpu", "cuda"], Field(description="where it runs; the recipe's `device`, never found by looking")
]


class Section(BaseModel):
    """A part of the recipe: immutable; an unknown key, infinity and NaN are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, serialize_by_alias=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _absent_is_off(cls, values: Any) -> Any:
        """An optional part that is absent is null, which means off."""
        if not isinstance(values, dict):
            return values
        optional = (
            field.alias or name for name, field in cls.model_fields.items() if type(None) in get_args(field.annotation)
        )
        return dict.fromkeys(optional) | values


def describe(error: ValidationError, where: str, section: type[Section]) -> str:
    """One line per wrong key: `where: a.b.c: message (got value)`; what a section says of several keys follows its own.

    where: what holds the values, a file or a flag; section: what they should be, for the key that is closest to an
    unknown one
    """
    lines = []
    for item in error.errors(include_url=False):
        # Parts in <> are the kind of section that was recognised, not keys of the file.
        key = ".".join(str(part) for part in item["loc"] if not str(part).startswith("<"))
        message = {
            "missing": "this key is missing",
            "extra_forbidden": "there is no such key",
            "value_error": str(item.get("ctx", {}).get("error", item["msg"])),
            "kind": item["msg"],
        }.get(item["type"], f"{item['msg']} (got {item['input']!r:.80})")
        if item["type"] == "extra_forbidden":
            message += suggestion(str(item["loc"][-1]), _keys(section, item["loc"][:-1]))
        lines.append(": ".join(part for part in (where, key, message) if part))
    return "\n".join(lines)


def _keys(section: Any, place: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand at a place of a section, as pydantic names places: keys, and kinds in <>."""
    if get_origin(section) is Annotated:
        kinds = [meta.tag for meta in section.__metadata__ if isinstance(meta, Tag)]
        if kinds and place and str(place[0]).startswith("<"):
            return _keys(section.__origin__, place[1:]) if place[0] in kinds else []
        return _keys(section.__origin__, place)
    if isinstance(section, type) and issubclass(section, Section):
        fields = {field.alias or name: field.annotation for name, field in section.model_fields.items()}
        return _keys(fields.get(str(place[0])), place[1:]) if place else list(fields)
    if get_origin(section) in (dict, list) and place:
        return _keys(get_args(section)[-1], place[1:])
    return [key for part in get_args(section) for key in _keys(part, place)]


def validated(section: type[S], values: Any, where: str) -> S:
    """The section built from plain values. Raises UserError with a line per wrong key."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise UserError(describe(error, where, section)) from None


def read_section(section: type[S], text: str) -> S:
    """A section from the text of `--settings`: the values as JSON, or the path of a YAML or JSON file.

    Raises UserError naming what is wrong with the text, the file or a key.
    """
    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"--settings: this is not JSON ({error})") from None
        return validated(section, values, "--settings")
    try:
        values = yaml.safe_load(read_bytes(Path(text)))
    except FileNotFoundError:
        raise UserError(
            f"--settings {text}: there is no such file (give a YAML or JSON file, or the values as JSON)"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{text}: this is not YAML ({' '.join(str(error).split())})") from None
    return validated(section, values, text)


def kind(*keys: str) -> Discriminator:
    """Choose a section by the key that only it has, so that an error speaks of that section alone."""

    def tag(values: Any) -> str | None:
        has = (lambda key: key in values) if isinstance(values, dict) else (lambda key: hasattr(values, key))
        return next((f"<{key}>" for key in keys if has(key)), None)

    message = f"one of the keys {', '.join(keys)} is missing"
    return Discriminator(tag, custom_error_type="kind", custom_error_message=message)
