"""Whole traces packed into sequences of equal length, and the packs arranged into the steps of a training.

Legend: _R trace (row of tokens.parquet), _K pack of a batch, _S step. A pack is a tuple of rows; () is an empty pack.
"""

import itertools
from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

Pack = tuple[int, ...]


def fill(rows: Sequence[int], lengths_R: Sequence[int], capacity: int) -> list[Pack]:
    """Best-fit decreasing: each trace goes where the least room stays, the longest first, ties in the order of `rows`.

    A trace is never split. O(n log n) comparisons: the free places of the open packs are kept sorted.
    Raises ValueError for a trace longer than `capacity` tokens.
    """
    packs: list[list[int]] = []
    room: list[int] = []  # sorted distinct free places
    with_room: dict[int, list[int]] = {}  # free places -> packs
    for row in sorted(rows, key=lambda row: -lengths_R[row]):
        length = lengths_R[row]
        if length > capacity:
            raise ValueError(f"trace {row} has {length} tokens, a pack holds {capacity}")
        place = bisect_left(room, length)
        if place < len(room):
            free = room[place]
            pack = with_room[free].pop()
            if not with_room[free]:
                del with_room[free], room[place]
        else:
            free, pack = capacity, len(packs)
            packs.append([])
        packs[pack].append(row)
        if left := free - length:
            if left not in with_room:
                insort(room, left)
                with_room[left] = []
            with_room[left].append(pack)
    return [tuple(pack) for pack in packs]


def plan(
    lengths_R: Sequence[int], capacity: int, packs_per_batch: int, epochs: float, rng: np.random.Generator
) -> list[list[Pack]]:
    """The packs of every step, known before the training starts: packs_SK.

    Every trace is used floor(epochs) or ceil(epochs) times, in all round(epochs * n) uses (at least one); each epoch
    draws its own order. The packs are spread evenly over the fewest steps that hold them, so that no step is much
    smaller than the others; where a step has fewer than `packs_per_batch`, empty packs complete it.
    """
    n = len(lengths_R)
    uses = max(1, round(epochs * n))
    packs: list[Pack] = []
    for start in range(0, uses, n):
        rows = rng.permutation(n)[: uses - start].tolist()
        epoch = fill(rows, lengths_R, capacity)
        packs += [epoch[i] for i in rng.permutation(len(epoch))]
    steps = -(-len(packs) // packs_per_batch)
    edges = [len(packs) * step // steps for step in range(steps + 1)]
    batches = [packs[a:b] for a, b in itertools.pairwise(edges)]
    return [batch + [()] * (packs_per_batch - len(batch)) for batch in batches]


def filled(packs_SK: Sequence[Sequence[Pack]], lengths_R: Sequence[int], capacity: int) -> float:
    """Share of the token slots of the packs that hold a trace's token, empty packs not counted."""
    used = [pack for batch in packs_SK for pack in batch if pack]
    return sum(lengths_R[row] for pack in used for row in pack) / (capacity * len(used))
