r"""An answer's text -> what it may mean: one typed value, or a few where the text itself is open.

Open are 1,234 (a number, or a list), (1,2) (a point, or an interval), 1:30 (a time, or a ratio) and 5 m (a product, or
metres). Two texts that are open both count by their first readings; else any reading counts (equality.py). What no rule
reads whole is Unread, and equals the same text only. Pure, and linear in the text's length up to its depth.
"""

import functools
import re
from dataclasses import dataclass, replace

from polaris.grading.reading import items
from polaris.grading.reading.cleaning import clean
from polaris.grading.reading.tokens import Token, Unreadable, spell, tokenize
from polaris.grading.reading.values import Choice, Unread, Value

MAX_ANSWER = 1000  # characters; a longer answer is compared as text only
_COMMA_GROUP = re.compile(r"[0-9],[0-9]{3}(?![0-9])")
_ZERO_GROUP = re.compile(r"[0-9],0[0-9]{2}(?![0-9])")  # of no list
_CLOCK = re.compile(r"[0-9]\s*:\s*[0-9]{2}(?![0-9])")
_LETTER = re.compile(r"(?:[\s~,;:]|\})\s*[A-Za-z][\s.$]*$")
_PREFIXES_WORDS = """
    the answer so thus hence therefore final we it value our its and then
"""
_PREFIXES = frozenset(_PREFIXES_WORDS.split())
_VERBS = frozenset({"is", "are", "equals", "be"})
_CONTRARY_WORDS = """
    not no or nor never neither either one if unless without isn't cannot except only
"""
_CONTRARY = frozenset(_CONTRARY_WORDS.split())
_BEFORE = frozenset({"approximately", "about", "exactly", "roughly", "equal", "to", "simply", "just"})
_AFTER = frozenset({"only", "approximately", "approx", "exactly"})


@dataclass(frozen=True)
class Mode:
    """How what is open is read."""

    grouped: bool = True
    interval: bool = False
    clock: bool = True
    letters: bool = False


def _modes(text: str) -> list[Mode]:
    modes = [Mode()]
    if "," in text and _COMMA_GROUP.search(text) and not _ZERO_GROUP.search(text):
        modes.append(Mode(grouped=False))
    if "(" in text and "," in text:
        modes += [replace(mode, interval=True) for mode in modes]
    if ":" in text and _CLOCK.search(text):
        modes.append(Mode(clock=False))
    if _LETTER.search(text):
        modes.append(Mode(letters=True))
    return modes


@functools.lru_cache(maxsize=4096)  # a problem's gold answers are read once for all its responses
def readings(text: str) -> tuple[Value, ...]:
    """What the text may mean, the likeliest first; a single Unread where no rule reads it whole."""
    if len(text) > MAX_ANSWER:
        return (Unread(text),)
    cleaned = clean(text)
    if len(cleaned) > 2 * MAX_ANSWER:
        return (Unread(text),)
    found: list[Value] = []
    for mode in _modes(cleaned):
        try:
            value = answer(undress(tokenize(cleaned, mode.grouped)), mode)
        except (Unreadable, RecursionError):
            continue
        if value not in found:
            found.append(value)
    if found:
        return tuple(found)
    try:
        return (Unread(spell(undress(tokenize(cleaned, True)))),)
    except Unreadable:
        return (Unread(cleaned),)


def is_read(text: str) -> bool:
    """Whether a rule reads the text whole."""
    return not isinstance(readings(text)[0], Unread)


def answer(tokens: tuple[Token, ...], mode: Mode) -> Value:
    """The value of undressed tokens. Raises Unreadable."""
    if not tokens:
        raise Unreadable("nothing is left")
    if (found := _choice(tokens, mode)) is not None:
        return found
    return items.whole(tokens, mode)


def undress(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens without what is said around an answer: "The answer is", "=", "(approximately)", a full stop."""
    while True:
        before = tokens
        while tokens and (tokens[-1].kind in (".", ",", ";", ":", "row", "`") or _is_word(tokens[-1], _AFTER)):
            tokens = tokens[:-1]
        while tokens and (tokens[0].kind in ("=", "~", "`", ":") or _is_word(tokens[0], _BEFORE)):
            tokens = tokens[1:]
        if len(tokens) > 3 and tokens[-1].kind == ")" and tokens[-3].kind == "(" and _is_word(tokens[-2], _AFTER):
            tokens = tokens[:-3]
        if len(tokens) > 2 and tokens[0].kind == tokens[-1].kind == '"':
            tokens = tokens[1:-1]
        tokens = _without_sentence(tokens)
        if tokens == before:
            return tokens


def _is_word(token: Token, words: frozenset[str]) -> bool:
    return token.kind == "word" and token.text.casefold() in words


def _without_sentence(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """What follows "The area of the triangle is", where nothing before it says the contrary."""
    if not tokens or not _is_word(tokens[0], _PREFIXES):
        return tokens
    last = 0
    for place, token in enumerate(tokens[:-1]):
        said = token.kind == "word" or token.kind == "num" and not last or token.kind == "," and place == 1
        if not (said or token.kind == ":") or _is_word(token, _CONTRARY):
            break
        if _is_word(token, _VERBS) or token.kind == ":":
            last = place + 1
    return tokens[last:]


def _choice(tokens: tuple[Token, ...], mode: Mode) -> Choice | None:
    """(C), C), C., (C) 12: the letter of a choice, and what it stands for."""
    kinds = [token.kind for token in tokens[:3]]
    if kinds == ["(", "word", ")"]:
        letter, rest = tokens[1], tokens[3:]
    elif kinds[:2] in (["word", ")"], ["word", "."], ["word", ":"]) and len(tokens) > 2:
        letter, rest = tokens[0], tokens[2:]
    elif kinds[:2] == ["word", ")"]:
        letter, rest = tokens[0], ()
    else:
        return None
    if not (len(letter.text) == 1 and "A" <= letter.text <= "J"):
        return None
    if not rest:
        return Choice(letter.text, None)
    if (
        rest[0].kind in ("+", "-", "*", "/", "^", "_", "=", "<", ">", "(", "!")
        or rest[0].kind == "cmd"
        and not rest[0].blank
    ):
        return None
    return Choice(letter.text, items.whole(rest, mode))
