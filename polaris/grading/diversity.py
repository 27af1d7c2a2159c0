"""How varied a model's responses to one problem are: distinct n-grams of words (V1, evaluation/grade.py).

The measure falls with the number of responses and with their length, so that it compares temperatures only at equal
problems, equal responses per problem and equal max_tokens (small_rl/studies/search_temperature.py refuses anything
else).
Legend: _G response of a problem's group.
"""

from collections.abc import Iterable

WORDS = 4  # V1's n


def distinct_share(responses_G: Iterable[str], n: int = WORDS) -> float | None:
    """Distinct n-grams / n-grams, in (0, 1], of all responses to one problem together; words are split at white space.

    None where no response has n words: V1 does not say what that is, and 0 would be called "all the same".
    """
    distinct: set[tuple[str, ...]] = set()
    total = 0
    for response in responses_G:
        words = response.split()
        distinct.update(zip(*(words[start:] for start in range(n)), strict=False))
        total += max(0, len(words) - n + 1)
    return len(distinct) / total if total else None
