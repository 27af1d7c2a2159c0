"""Context parallelism: which tokens of a pack lie on which rank.

Every trace is cut into 2 * ranks equal chunks; rank r holds chunk r and chunk 2 * ranks - 1 - r, so that under causal
attention all ranks have the same work. It is Transformer Engine's order, and the one that megatron-core's RoPE expects
of a pack (models/common/embeddings/rope_utils.py).
"""

import itertools
from collections.abc import Sequence

import numpy as np


def padded_length(length: int, ranks: int) -> int:
    """Tokens that a trace of `length` takes up: for several ranks a multiple of their chunks."""
    chunks = 2 * ranks if ranks > 1 else 1
    return -(-length // chunks) * chunks


def own_tokens(edges: Sequence[int], ranks: int, rank: int) -> np.ndarray:
    """Places in the pack of this rank's tokens, [edges[-1] / ranks]. edges: of the traces, multiples of 2 * ranks
    apart.
    """
    if ranks == 1:
        return np.arange(edges[-1])
    places = []
    for start, end in itertools.pairwise(edges):
        chunk = (end - start) // (2 * ranks)
        for place in (rank, 2 * ranks - 1 - rank):
            places.append(np.arange(start + place * chunk, start + (place + 1) * chunk))
    return np.concatenate(places)
