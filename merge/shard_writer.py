"""A new file, written from its first byte to its last, with its digests taken on the way and safely on disk at the
end.
"""

import fcntl
import hashlib
import mmap
import os
from pathlib import Path

import xxhash

from merge.o_direct import open_file
from polaris.stage.errors import UserError
from polaris.stage.terminal import DISK_FULL

BLOCK = 1 << 20  # bytes of one write with O_DIRECT: a multiple of every file system's unit


class ShardWriter:
    """Takes the file's bytes in any portions.

    direct: past the page cache (O_DIRECT), from an aligned block of our own; the rest at the end goes through it.
    sha256: this digest besides xxh3. Raises UserError when the disk is full or does not support O_DIRECT.
    """

    def __init__(self, path: Path, direct: bool, sha256: bool):
        self.path, self._filled = path, 0
        self._digests = {"xxh3": xxhash.xxh3_128()} | ({"sha256": hashlib.sha256()} if sha256 else {})
        self._file = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, direct)
        self._block = memoryview(mmap.mmap(-1, BLOCK)) if direct else None  # of a page's alignment

    def write(self, data: memoryview) -> None:
        """Append the bytes. Raises UserError when the disk is full."""
        for digest in self._digests.values():
            digest.update(data)
        if self._block is None:
            self._put(data)
        while self._block is not None and data:
            part = data[: BLOCK - self._filled]
            self._block[self._filled : self._filled + len(part)] = part
            self._filled, data = self._filled + len(part), data[len(part) :]
            if self._filled == BLOCK:
                self._put(self._block)
                self._filled = 0

    def finish(self) -> dict[str, str]:
        """Everything is on disk: the digests."""
        if self._block is not None and self._filled:
            fcntl.fcntl(self._file, fcntl.F_SETFL, fcntl.fcntl(self._file, fcntl.F_GETFL) & ~os.O_DIRECT)
            self._put(self._block[: self._filled])
        os.fsync(self._file)
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def close(self) -> None:
        """Release the file; what was not finished may not be on disk."""
        os.close(self._file)

    def _put(self, data: memoryview) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise UserError(f"{self.path}: {error.strerror}; make room there and run the merge again") from None
