"""How much of a batch is tokens: our packing against padding and first-fit, on long-tailed trace lengths, on one core.

    python benchmarks/packing.py

Lengths are drawn from a lognormal distribution (median 6K, 1 in 40 over 32K tokens, those cut off), packs hold 32K.
Every way gets the same lengths. The time is that of arranging, once per epoch; ten times the traces should take little
more than ten times as long.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from large_sft.traces.packing import fill

CAPACITY = 32_768
BATCH = 32  # sequences padded to their longest
SIZES = (9_000, 90_000, 900_000)
SLOW = 90_000  # first-fit looks at every open pack for every trace: beyond this it would take hours


def padded(lengths_R: list[int]) -> int:
    """Token slots when a batch of neighbours is padded to its longest."""
    batches = (lengths_R[first : first + BATCH] for first in range(0, len(lengths_R), BATCH))
    return sum(max(batch) * len(batch) for batch in batches)


def sorted_and_padded(lengths_R: list[int]) -> int:
    """The same with batches of similar length (transformers' group_by_length at its best)."""
    return padded(sorted(lengths_R))


def first_fit(lengths_R: list[int]) -> int:
    """Token slots when each trace, in its order, goes into the first pack with room."""
    room = np.zeros(len(lengths_R), dtype=np.int64)
    packs = 0
    for length in lengths_R:
        fits = room[:packs] >= length
        place = int(fits.argmax()) if fits.any() else packs
        if place == packs:
            room[packs], packs = CAPACITY, packs + 1
        room[place] -= length
    return packs * CAPACITY


def ours(lengths_R: list[int]) -> int:
    """Token slots of best-fit decreasing, as in training."""
    return len(fill(range(len(lengths_R)), lengths_R, CAPACITY)) * CAPACITY


WAYS: dict[str, Callable[[list[int]], int]] = {
    f"padding, batches of {BATCH}": padded,
    f"padding, sorted batches of {BATCH}": sorted_and_padded,
    "first-fit": first_fit,
    "ours: best-fit decreasing": ours,
}


def main() -> None:
    print("| traces | way | filled | seconds |")
    print("|---|---|---|---|")
    for size in SIZES:
        rng = np.random.default_rng(1)
        lengths_R = np.clip(rng.lognormal(np.log(6_000), 0.86, size).astype(int), 200, CAPACITY).tolist()
        for name, way in WAYS.items():
            if way is first_fit and size > SLOW:
                continue
            started = time.process_time()
            slots = way(lengths_R)
            print(f"| {size:,} | {name} | {sum(lengths_R) / slots:.2%} | {time.process_time() - started:.2f} |")


if __name__ == "__main__":
    main()
