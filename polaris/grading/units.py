"""Units of measure behind a number that must not be taken for each other: 5 cm is not 5 m."""

import re

_SPELLINGS = {
    "mm": "mm millimeter millimeters",
    "cm": "cm centimeter centimeters",
    "m": "m meter meters metre metres",
    "km": "km kilometer kilometers",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "mile": "mi mile miles",
    "g": "g gram grams",
    "kg": "kg kilogram kilograms",
    "s": "s sec second seconds",
    "min": "min minute minutes",
    "h": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "year": "yr year years",
    "dollar": "dollar dollars",
    "cent": "cent cents",
    "degree": "degree degrees",
    "radian": "rad radian radians",
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_UNIT = re.compile(
    r"[0-9}](?:\\[, ]|\s)*(?:\\(?:text|textrm|mathrm|mbox)\s*\{\s*([A-Za-z]+)\s*\}|\b([A-Za-z]+))"
    r"(?:\^\{?([0-9])\}?)?[\s.$]*$"
)


def unit(text: str) -> tuple[str, str] | None:
    """The known unit that a text ends with, and its power: ("cm", "2"); None without one, or for another word."""
    match = _UNIT.search(text)
    name = match and _UNITS.get(match[1] or match[2])
    return (name, match[3] or "1") if name else None


def conflict(a: str, b: str) -> bool:
    """Both texts end with a known unit, and it is not the same. A missing unit is no conflict."""
    units = unit(a), unit(b)
    return None not in units and units[0] != units[1]
