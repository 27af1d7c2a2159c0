"""Problems that repeat an earlier one: the same text, or nearly the same words.

Linear in the text's length: every n-gram of a problem votes for the first problem that had it, and only those that got
a vote are compared. Legend: _P problem, _N n-gram (all n-grams of all problems, one after another).
"""

import dataclasses
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from polaris.grading.answers import CORRECT
from polaris.grading.compare import compare

BASE = 0x9E3779B97F4A7C15  # odd; the golden ratio, of whose powers no small combination is 0


@dataclasses.dataclass(frozen=True)
class Duplicate:
    """earlier: number of the problem with that text; share: of their n-grams that both have (1.0: the same text)."""

    earlier: int
    share: float


def same_text(tokens_P: Sequence[Sequence[str]]) -> dict[int, Duplicate]:
    """Later problems with the same tokens as an earlier one, by number."""
    first: dict[str, int] = {}
    duplicates = {}
    for number, tokens in enumerate(tokens_P):
        earlier = first.setdefault(" ".join(tokens), number)
        if earlier != number:
            duplicates[number] = Duplicate(earlier, 1.0)
    return duplicates


def hashed_ngrams(tokens_P: Sequence[Sequence[Hashable]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """64-bit hashes of all n-grams and the problem of each: two arrays [_N]; shorter problems have none."""
    vocabulary: dict[Hashable, int] = {}
    codes = [vocabulary.setdefault(token, len(vocabulary) + 1) for tokens in tokens_P for token in tokens]
    lengths = np.array([len(tokens) for tokens in tokens_P], dtype=np.int64)
    owners = np.repeat(np.arange(len(tokens_P)), lengths)
    places = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    whole = places <= lengths[owners] - n
    values = np.array(codes, dtype=np.uint64)
    starts = np.flatnonzero(whole)
    hashes = np.zeros(len(starts), dtype=np.uint64)
    for offset in range(n):
        hashes += values[starts + offset] * np.uint64(pow(BASE, offset + 1, 1 << 64))  # modulo 2^64
    return hashes, owners[starts]


def near_duplicates(
    tokens_P: Sequence[Sequence[str]], golds_P: Sequence[Sequence[str]], n: int, share: float
) -> dict[int, Duplicate]:
    """Later problems that share at least `share` of all their n-grams (Jaccard) with an earlier one that stays.

    Problems whose gold answers differ stay: they are the same story with other numbers.
    """
    hashes_N, owners_N = hashed_ngrams(tokens_P, n)
    pairs = np.unique(np.stack([owners_N.astype(np.uint64), hashes_N], axis=1), axis=0)  # n-grams as sets, by owner
    owners_N, hashes_N = pairs[:, 0].astype(np.int64), pairs[:, 1]
    bounds_P = np.searchsorted(owners_N, np.arange(len(tokens_P) + 1))
    duplicates: dict[int, Duplicate] = {}
    for number, earlier, votes in _voted(owners_N, hashes_N):
        mine, theirs = (hashes_N[bounds_P[problem] : bounds_P[problem + 1]] for problem in (number, earlier))
        few, many = sorted((len(mine), len(theirs)))
        # A template may take votes of a true pair to a third problem, but hardly three in four.
        if (
            few < share * many
            or 4 * votes < len(mine)
            or earlier in duplicates
            or other_answers(golds_P[number], golds_P[earlier])
        ):
            continue
        both = len(np.intersect1d(mine, theirs, assume_unique=True))
        jaccard = both / (few + many - both)
        if jaccard >= share and (number not in duplicates or jaccard > duplicates[number].share):
            duplicates[number] = Duplicate(earlier, jaccard)
    return duplicates


def _voted(owners_N: np.ndarray, hashes_N: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """(problem, earlier problem, n-grams of the former that the latter had first), by problem; owners are sorted."""
    _, first, inverse = np.unique(hashes_N, return_index=True, return_inverse=True)
    firsts_N = owners_N[first[inverse]]
    later = firsts_N < owners_N
    pairs, votes = np.unique(np.stack([owners_N[later], firsts_N[later]], axis=1), axis=0, return_counts=True)
    for (number, earlier), count in zip(pairs.tolist(), votes.tolist(), strict=True):
        yield number, earlier, count


def other_answers(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether both problems have gold answers, and none is the same as far as text and exact arithmetic tell."""
    return bool(a and b) and all(compare(gold, b) not in CORRECT for gold in a)
