"""What a merge would cost: bytes, free space, and time at this disk's measured rates."""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from merge.averages import CHUNK
from polaris.models.checkpoint import Checkpoint
from polaris.stage.progress import duration

SAMPLE = 256 << 20  # bytes read, and written, to measure a rate


def nearest_folder(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that there is."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def read_rate(checkpoint: Checkpoint) -> float:
    """Bytes per second from the start of the largest shard, which is dropped from the page cache before."""
    path = max(checkpoint.shards, key=lambda shard: shard.size).path
    buffer, done = bytearray(CHUNK), 0
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, SAMPLE, os.POSIX_FADV_DONTNEED)
        started = time.monotonic()
        while done < SAMPLE and (count := file.readinto(buffer)):
            done += count
    return done / (time.monotonic() - started)


def write_rate(folder: Path) -> float:
    """Bytes per second into an unnamed temporary file of SAMPLE bytes, or half of the free space if that is less."""
    block = os.urandom(CHUNK)  # some disks compress
    size = min(SAMPLE, shutil.disk_usage(folder).free // 2)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        started = time.monotonic()
        for _ in range(max(1, size // CHUNK)):
            file.write(block)
        os.fsync(file.fileno())
        return max(1, size // CHUNK) * CHUNK / (time.monotonic() - started)


def describe(base: Checkpoint, distilled: Sequence[Checkpoint], written: int, folder: Path) -> str:
    """The text of --dry-run. written: bytes of all results; folder: where they go."""
    place = nearest_folder(folder)
    reading, writing = read_rate(base), write_rate(place)
    inputs, free = base.size + sum(one.size for one in distilled), shutil.disk_usage(place).free
    # Between the two figures: with enough threads reading and writing overlap.
    shortest = max(inputs / reading, written / writing)
    longest = inputs / reading + written / writing
    return "\n".join(
        [
            "verdict  these two can be merged" if len(distilled) == 1 else "verdict  these can be merged",
            f"base      {base.folder}: {len(base.shard_of)} tensors, {base.weights / 1e9:.3f} billion weights",
            f"read      {inputs / 1e9:.2f} GB, at {reading / 1e9:.2f} GB/s",
            f"written   {written / 1e9:.2f} GB of {free / 1e9:.2f} GB free, at {writing / 1e9:.2f} GB/s",
            f"time      {duration(math.ceil(shortest))} to {duration(math.ceil(longest))}",
        ]
    )
