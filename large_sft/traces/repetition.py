"""How much of a text repeats itself."""

from collections.abc import Sequence

from polaris.problems.duplicates import hashed_ngrams


def repeated_share(tokens_T: Sequence[int], n: int) -> float:
    """Share in [0, 1] of the runs of n tokens that occurred earlier in the text: near 1 for a loop, 0 under n tokens.

    Counted like the repetition filters of MassiveText (Rae et al. 2021, table A1), over tokens and for one n.
    """
    hashes_N, _ = hashed_ngrams([tokens_T], n)
    return 1 - len(set(hashes_N.tolist())) / len(hashes_N) if len(hashes_N) else 0.0
