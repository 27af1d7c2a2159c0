"""Difficulty of a problem for a model: how many of its k responses are right (V1 blog, data; recipe scripts)."""

from collections.abc import Sequence

TOO_EASY, UNSOLVED = "too_easy", "unsolved"


def dropped_because(correct: int, k: int, drop_above: float, drop_unsolved: bool) -> str | None:
    """The reason to drop a problem with `correct` of `k` right responses, or None.

    drop_above: accuracy in [0, 1]. V1 drops 8/8 (drop_above anywhere in [7/8, 1)) and keeps 0/8.
    """
    if correct / k > drop_above:
        return TOO_EASY
    return UNSOLVED if drop_unsolved and correct == 0 else None


def histogram(correct_P: Sequence[int], k: int) -> list[int]:
    """Numbers of problems with 0, 1, ..., k right responses [k + 1]: V1's "mirrored J"."""
    counts = [0] * (k + 1)
    for correct in correct_P:
        counts[correct] += 1
    return counts
