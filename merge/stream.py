"""The streaming merger: theta = alpha * base + (1 - alpha) * distilled, in constant memory, at the disk's speed.

Each shard of the base is one job for one thread: its header is copied byte for byte, then its tensors are read from both
checkpoints in chunks of 1 MiB, averaged and appended. Reading, arithmetic and writing overlap between threads (all of
them release Python's lock). The buffers are made once: with fresh or larger ones the kernel's page faults cost more than
the arithmetic.

Arithmetic: one step wider than the weights (float32 for bf16 and f16, float64 for f32), rounded once, as
distilled + alpha * (base - distilled), or from the other end for alpha >= 1/2: exact at both ends and where both agree
(but for the sign of a zero).
"""

import contextlib
import dataclasses
import errno
import functools
import math
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import BinaryIO

import numpy as np

from merge.checkpoint import INDEX, Checkpoint, Shard
from polaris.errors import UserError

CHUNK = 1 << 20  # bytes
NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
NOT_FINITE = (
    "{path}: tensor {name}: value {element} is not finite; nothing was merged: make that checkpoint again from a "
    "training that did not diverge"
)


@dataclasses.dataclass
class Tally:
    """What the merge did to the weights.

    from_base, from_distilled: weights whose stored value differs; largest: max |merged - base|
    """

    weights: int = 0
    from_base: int = 0
    from_distilled: int = 0
    largest: float = 0.0

    def add(self, other: "Tally") -> None:
        self.weights += other.weights
        self.from_base += other.from_base
        self.from_distilled += other.from_distilled
        self.largest = max(self.largest, other.largest)


class NotFiniteError(Exception):
    """A NaN or infinity in a chunk. which: base, distilled, or merged (an average beyond the dtype's range)."""

    def __init__(self, which: str, element: int):
        self.which, self.element = which, element


class _Room:
    """Room for one chunk of both inputs and of the result, of one dtype."""

    def __init__(self, dtype: str, alpha: float):
        import torch

        narrow = getattr(torch, NAMES[dtype])
        wide = torch.float64 if narrow == torch.float32 else torch.float32
        count = CHUNK // narrow.itemsize
        self.alpha, self.itemsize = alpha, narrow.itemsize
        self.base, self.distilled, self.merged = (memoryview(bytearray(CHUNK)) for _ in range(3))
        buffers = (self.base, self.distilled, self.merged)
        self._narrow = [torch.frombuffer(buffer, dtype=narrow) for buffer in buffers]
        self._bits = [np.frombuffer(buffer, dtype=f"u{narrow.itemsize}") for buffer in buffers]
        self._wide = [torch.empty(count, dtype=wide) for _ in range(3)]
        self._differs = np.empty(count, dtype=bool)

    def average(self, size: int) -> Tally:
        """Average the first `size` bytes of base and distilled into merged. Raises NotFiniteError."""
        import torch

        count = size // self.itemsize
        base, distilled, merged = (tensor[:count] for tensor in self._wide)
        base_narrow, distilled_narrow, merged_narrow = (tensor[:count] for tensor in self._narrow)
        base.copy_(base_narrow)
        distilled.copy_(distilled_narrow)
        torch.lerp(distilled, base, self.alpha, out=merged)
        merged_narrow.copy_(merged)
        merged.copy_(merged_narrow)
        change = torch.sub(merged, base, out=distilled)
        lowest, highest = (float(end) for end in torch.aminmax(change))
        # A NaN or infinity of either input survives lerp, the difference and aminmax at any alpha: one look is enough.
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            self._refuse(count)
        base_bits, distilled_bits, merged_bits = (bits[:count] for bits in self._bits)
        return Tally(
            weights=count,
            from_base=self._count_differing(merged_bits, base_bits),
            from_distilled=self._count_differing(merged_bits, distilled_bits),
            largest=max(-lowest, highest),
        )

    def _count_differing(self, a: np.ndarray, b: np.ndarray) -> int:
        return int(np.count_nonzero(np.not_equal(a, b, out=self._differs[: len(a)])))

    def _refuse(self, count: int) -> None:
        """Raise NotFiniteError for the first value that is not finite, if there is one."""
        for which, tensor in zip(("base", "distilled", "merged"), self._narrow, strict=True):
            wrong = (~tensor[:count].isfinite()).nonzero()
            if len(wrong):
                raise NotFiniteError(which, int(wrong[0]))


def merge(
    base: Checkpoint,
    distilled: Checkpoint,
    alpha: float,
    out: Path,
    threads: int,
    advanced: Callable[[int], None] = lambda size: None,
) -> Tally:
    """Write the merged shards and their index, named and laid out as the base's, into the folder `out`.

    The two must have passed `merge.gate.check_pair`. advanced: called with the bytes written since its last call, from
    any thread. Raises UserError for weights that are not finite, a file that shrinks and a full disk.
    """
    import torch

    torch.set_num_threads(1)  # the shards are the parallel part
    stopped = threading.Event()
    total = Tally()
    with ThreadPoolExecutor(threads) as pool:
        jobs = [
            pool.submit(_merge_shard, shard, distilled, alpha, out / shard.path.name, advanced, stopped)
            for shard in base.shards
        ]
        try:
            for job in as_completed(jobs):
                total.add(job.result())
        except BaseException:
            stopped.set()
            raise
    if (base.folder / INDEX).is_file():
        shutil.copyfile(base.folder / INDEX, out / INDEX)
    return total


def check_finite(checkpoint: Checkpoint) -> None:
    """Read every weight. Raises UserError for the first one that is NaN or infinite."""
    import torch

    buffer = memoryview(bytearray(CHUNK))
    for shard in checkpoint.shards:
        with shard.path.open("rb", buffering=0) as file:
            for name, tensor in shard.tensors.items():
                dtype = getattr(torch, NAMES[tensor.dtype])
                for begin in range(tensor.begin, tensor.end, CHUNK):
                    part = buffer[: min(CHUNK, tensor.end - begin)]
                    _read(file, begin, part)
                    wrong = (~torch.frombuffer(part, dtype=dtype).isfinite()).nonzero()
                    if len(wrong):
                        first = (begin - tensor.begin) // dtype.itemsize + int(wrong[0])
                        raise UserError(NOT_FINITE.format(path=shard.path, name=name, element=first))


def _merge_shard(
    shard: Shard,
    distilled: Checkpoint,
    alpha: float,
    out: Path,
    advanced: Callable[[int], None],
    stopped: threading.Event,
) -> Tally:
    """One shard of the base, from its header to its last chunk; gives up between two chunks when `stopped`."""
    tally = Tally()
    room_for = functools.cache(lambda dtype: _Room(dtype, alpha))
    with contextlib.ExitStack() as files:
        opened = functools.cache(lambda path: files.enter_context(path.open("rb", buffering=0)))
        target = files.enter_context(out.open("xb", buffering=0))
        _write(target, memoryview(shard.header))
        for name, tensor in shard.tensors.items():
            room, other = room_for(tensor.dtype), distilled.shard_of[name]
            for done in range(0, tensor.end - tensor.begin, CHUNK):
                if stopped.is_set():
                    return tally
                size = min(CHUNK, tensor.end - tensor.begin - done)
                _read(opened(shard.path), tensor.begin + done, room.base[:size])
                _read(opened(other.path), other.tensors[name].begin + done, room.distilled[:size])
                try:
                    tally.add(room.average(size))
                except NotFiniteError as error:
                    path = {"base": shard.path, "distilled": other.path, "merged": out}[error.which]
                    first = done // room.itemsize + error.element
                    raise UserError(NOT_FINITE.format(path=path, name=name, element=first)) from None
                _write(target, room.merged[:size])
                advanced(size)
    return tally


def _read(file: BinaryIO, offset: int, into: memoryview) -> None:
    while into:
        count = os.preadv(file.fileno(), [into], offset)
        if count == 0:
            raise UserError(f"{file.name}: it became shorter while it was being merged; run the merge again")
        into, offset = into[count:], offset + count


def _write(file: BinaryIO, data: memoryview) -> None:
    try:
        while data:
            data = data[file.write(data) :]
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(f"{file.name}: {error.strerror}; make room there and run the merge again") from None
