"""What somebody may have meant."""

import difflib
from collections.abc import Iterable


def suggestion(word: str, possible: Iterable[str]) -> str:
    """`; did you mean X?` for the closest possible word, else `; possible: ...`; empty where nothing is possible."""
    words = list(possible)
    if close := difflib.get_close_matches(word, words, n=1):
        return f"; did you mean {close[0]}?"
    return f"; possible: {', '.join(words)}" if words else ""
