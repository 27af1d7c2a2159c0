"""Texts, tables and numbers as Markdown."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from polaris.evaluation import results

NONE = "–"
# Markup inside a line: escapes, code, cells, emphasis at the edge of a word, the end of a link's text.
MARKUP = re.compile(r"[\\`|]|\*(?=\S)|(?<=\S)\*|(?<!\w)_|_(?!\w)|~~|\](?=[(\[:])")
ENTITY, TAG = re.compile(r"&(?=#?\w+;)"), re.compile(r"<(?=[A-Za-z/!?])")


def escaped(text: str) -> str:
    """A name or a text as a part of one line of Markdown that shows it as it is: no markup, no HTML, no line break."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return TAG.sub("&lt;", ENTITY.sub("&amp;", MARKUP.sub(r"\\\g<0>", line)))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; its cells are plain text."""
    lines = [[escaped(cell) for cell in line] for line in (head, *rows)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_interval(value: float, interval: Sequence[float], word: Any = results.percent) -> str:
    """A number and its interval, written by `word`."""
    return f"{word(value)} {results.span(interval, word)}"
