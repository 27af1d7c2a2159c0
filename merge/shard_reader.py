"""A file that is read at any place, through the page cache or past it."""

import contextlib
import mmap
import os
from pathlib import Path
from typing import Self

import xxhash

from merge.o_direct import open_file
from polaris.models.safetensors_header import Tensor
from polaris.stage.errors import UserError

UNIT = 4096  # bytes: places and lengths of reads with O_DIRECT are multiples of it
ROOM = 1 << 20  # bytes of one read with O_DIRECT, at most, without the edges that fill it up to units


class ShardReader(contextlib.AbstractContextManager):
    """direct: past the page cache (O_DIRECT), through an aligned buffer of our own.

    Takes the file's digest on the way, as long as it is read in its own order.
    Raises UserError when the file system does not support O_DIRECT.
    """

    def __init__(self, path: Path, direct: bool):
        self.path = path
        self._file = open_file(path, os.O_RDONLY, direct)
        self._aligned = memoryview(mmap.mmap(-1, ROOM + 2 * UNIT)) if direct else None
        self._state, self._hashed = xxhash.xxh3_128(), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._file)

    def read(self, offset: int, into: memoryview) -> None:
        """Fill `into` from the file's `offset` on. Raises UserError when the file ends before."""
        if self._aligned is None:
            self._fill(offset, into, len(into))
        else:
            self._fill_aligned(self._aligned, offset, into)
        if offset == self._hashed:
            self._state.update(into)
            self._hashed += len(into)

    @property
    def digest(self) -> str | None:
        """xxh3 (128 bit) of the file, as `polaris.stage.manifest.file_digest`; None unless all of it was read in
        order.
        """
        return self._state.hexdigest() if self._hashed == os.fstat(self._file).st_size else None

    def _fill_aligned(self, aligned: memoryview, offset: int, into: memoryview) -> None:
        while into:
            before, size = offset % UNIT, min(len(into), ROOM)
            units = -(-(before + size) // UNIT)
            self._fill(offset - before, aligned[: units * UNIT], before + size)
            into[:size] = aligned[before : before + size]
            into, offset = into[size:], offset + size

    def _fill(self, offset: int, into: memoryview, needed: int) -> None:
        """The first `needed` bytes, and what of the rest is there."""
        while needed > 0:
            count = os.preadv(self._file, [into], offset)
            if count == 0:
                raise UserError(f"{self.path}: it became shorter while it was being read; run the merge again")
            into, offset, needed = into[count:], offset + count, needed - count


def same_bytes(path: Path, tensor: Tensor, other_path: Path, other: Tensor) -> bool:
    """Whether two tensors, each in its file, have the same bytes."""
    size = tensor.end - tensor.begin
    if other.end - other.begin != size:
        return False
    one_part, other_part = (memoryview(bytearray(ROOM)) for _ in range(2))
    with ShardReader(path, direct=False) as one_file, ShardReader(other_path, direct=False) as other_file:
        for done in range(0, size, ROOM):
            part = min(ROOM, size - done)
            one_file.read(tensor.begin + done, one_part[:part])
            other_file.read(other.begin + done, other_part[:part])
            if one_part[:part] != other_part[:part]:
                return False
    return True
