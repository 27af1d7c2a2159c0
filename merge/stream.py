"""The streaming merger: theta = alpha * base + (1 - alpha) * distilled, in constant memory, at the disk's speed.

Each shard of the base is one job for one thread: its header is copied byte for byte (or rewritten for another dtype),
then its tensors are read from all checkpoints in chunks of 1 MiB, averaged by each result's shares and appended to the
same shard of it: several results cost one reading. Reading, arithmetic and writing overlap between threads (all of
them release Python's lock). Digests are taken while writing, and those of the inputs while reading; nothing is read
twice but shards of a distilled model that are cut otherwise than the base's.
"""

import contextlib
import dataclasses
import json
import math
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from merge.alpha import Shares, shown
from merge.averages import CHUNK, Averages, Copies, NotFiniteError
from merge.shard_reader import ShardReader
from merge.shard_writer import ShardWriter
from polaris.models.checkpoint import INDEX, Checkpoint, Shard, read_checkpoint
from polaris.models.dtypes import FLOATS, ITEM_BYTES, torch_dtype
from polaris.models.safetensors_header import recast
from polaris.stage import manifest
from polaris.stage.errors import UserError

NOT_FINITE = (
    "{path}: tensor {name}: value {element} is not finite; nothing was merged: make that checkpoint again from a "
    "training that did not diverge"
)
PIECE = 1 << 16  # bytes of an input's tensor that are read again
CHANGED = "{path}: its bytes are not those that the stage has published; nothing was merged: make or fetch it again"


@dataclasses.dataclass(frozen=True)
class Writing:
    """How results are written. dtype: of all their tensors, as in headers; None: each as in the base.

    threads: shards at once; direct: read and written with O_DIRECT; sha256: besides xxh3
    """

    dtype: str | None
    threads: int
    direct: bool
    sha256: bool


Digests = dict[str, dict[str, str]]  # file -> {"xxh3": ...}
InputDigests = dict[Path, str | None]  # shard that was read -> its xxh3; None: not in one piece


def merge(
    base: Checkpoint,
    distilled: Sequence[Checkpoint],
    outs: Mapping[Shares, Path],
    writing: Writing,
    published: Mapping[Path, str],
    advanced: Callable[[int], None] = lambda size: None,
) -> tuple[int, dict[Shares, Digests]]:
    """Write the merged shards and their index, named and laid out as the base's, into a folder for each result.

    Returns how many tensors are the same in all inputs, and each result's digests.
    Each of `distilled` must have passed `merge.gate.check_pair`. published: shard of an input -> the xxh3 that its
    manifest lists. advanced: called with the bytes read of the base since its last call, from any thread. Raises
    UserError for weights that are not finite, a shard with other bytes than published, a file that shrinks and a full
    disk.
    """
    import torch

    torch.set_num_threads(1)  # the shards are the parallel part
    stopped = threading.Event()
    same, digests, input_digests = 0, {shares: {} for shares in outs}, {}
    with ThreadPoolExecutor(writing.threads) as pool:
        jobs = [pool.submit(_merge_shard, shard, distilled, outs, writing, advanced, stopped) for shard in base.shards]
        try:
            for job in as_completed(jobs):
                of_shard, written, read = job.result()
                same += of_shard
                input_digests |= {path: digest or input_digests.get(path) for path, digest in read.items()}
                for shares, digest in written.items():
                    digests[shares] |= digest
        except BaseException:
            stopped.set()
            raise
    check_published(input_digests, published)
    for out in outs.values():
        _write_index(base, out, writing.dtype)
    return same, digests


def check_published(input_digests: InputDigests, published: Mapping[Path, str]) -> None:
    """Raises UserError for a shard whose bytes are not those that its manifest lists."""
    for path in sorted(input_digests.keys() & published.keys()):
        if (input_digests[path] or manifest.file_digest(path)) != published[path]:
            raise UserError(CHANGED.format(path=path))


def written_bytes(base: Checkpoint, dtype: str | None) -> int:
    """Bytes of one result's shards."""
    if dtype is None:
        return base.size
    return sum(len(recast(shard.header, dtype)) for shard in base.shards) + _data_bytes(base, dtype)


def _data_bytes(base: Checkpoint, dtype: str) -> int:
    """Bytes of all tensors, written as `dtype`; integers stay as they are."""
    tensors = [tensor for shard in base.shards for tensor in shard.tensors.values()]
    return sum(
        math.prod(tensor.shape) * ITEM_BYTES[dtype if tensor.dtype in FLOATS else tensor.dtype] for tensor in tensors
    )


def check_finite(checkpoint: Checkpoint) -> None:
    """Read every weight. Raises UserError for the first one that is NaN or infinite."""
    import torch

    buffer = memoryview(bytearray(CHUNK))
    for shard in checkpoint.shards:
        with ShardReader(shard.path, direct=False) as file:
            for name, tensor in shard.tensors.items():
                if tensor.dtype not in FLOATS:
                    continue
                dtype = torch_dtype(tensor.dtype)
                for begin in range(tensor.begin, tensor.end, CHUNK):
                    part = buffer[: min(CHUNK, tensor.end - begin)]
                    file.read(begin, part)
                    wrong = (~torch.frombuffer(part, dtype=dtype).isfinite()).nonzero()
                    if len(wrong):
                        first = (begin - tensor.begin) // dtype.itemsize + int(wrong[0])
                        raise UserError(NOT_FINITE.format(path=shard.path, name=name, element=first))


def _merge_shard(
    shard: Shard,
    distilled: Sequence[Checkpoint],
    outs: Mapping[Shares, Path],
    writing: Writing,
    advanced: Callable[[int], None],
    stopped: threading.Event,
) -> tuple[int, dict[Shares, Digests], InputDigests]:
    """One shard of the base, from its header to its last chunk; gives up between two chunks when `stopped`."""
    same = 0
    with contextlib.ExitStack() as files:
        header = recast(shard.header, writing.dtype) if writing.dtype else shard.header
        writers: list[ShardWriter] = []
        for out in outs.values():
            writers.append(writer := ShardWriter(out / shard.path.name, writing.direct, writing.sha256))
            files.callback(writer.close)
            writer.write(memoryview(header))
        opened = OpenShard(shard, dict(zip(outs, writers, strict=True)), writing, files)
        for name in shard.tensors:
            equal = True
            for size, equal_chunk in opened.merged_chunks(name, distilled):
                if stopped.is_set():
                    return same, {}, {}
                equal = equal and equal_chunk
                advanced(size)
            same += equal
        input_digests = {path: reader.digest for path, reader in opened.readers.items()}
        written = {shares: {shard.path.name: writer.finish()} for shares, writer in zip(outs, writers, strict=True)}
        return same, written, input_digests


@dataclasses.dataclass
class Memory:
    """Takes the bytes of a tensor instead of a file. path: what a message names."""

    path: Path
    data: bytearray = dataclasses.field(default_factory=bytearray)

    def write(self, data: memoryview) -> None:
        self.data += data

    def taken(self) -> bytearray:
        """All of it so far; what comes now begins anew."""
        data, self.data = self.data, bytearray()
        return data


def check_written(
    base: Checkpoint, distilled: Sequence[Checkpoint], outs: Mapping[Shares, Path], dtype: str | None
) -> None:
    """A piece of every tensor of the written results, anywhere in it, must be the average of its inputs.

    Raises UserError with the first tensor that is not: a shard of another alpha, or of another model.
    """
    for shares, out in outs.items():
        written = read_checkpoint(out)
        for name, begin, expected in expected_pieces(base, distilled, shares, dtype):
            whole, own = base.tensor(name), written.tensor(name)
            place = own.begin + begin * (own.end - own.begin) // max(whole.end - whole.begin, 1)
            if read_piece(written.shard_of[name].path, place, len(expected)) != expected:
                raise UserError(other_average(written.shard_of[name].path, name, shares))


def expected_pieces(
    base: Checkpoint, distilled: Sequence[Checkpoint], shares: Shares, dtype: str | None
) -> Iterator[tuple[str, int, bytearray]]:
    """Of every tensor a piece, anywhere in it: name, first byte in the base's tensor, and the average there."""
    writing = Writing(dtype, 1, False, False)
    for shard in base.shards:
        with contextlib.ExitStack() as files:
            memory = Memory(shard.path)
            opened = OpenShard(shard, {shares: memory}, writing, files)
            for name, tensor in shard.tensors.items():
                pieces = -(-(tensor.end - tensor.begin) // PIECE)
                begin = random.Random(f"{shares} {name}").randrange(max(pieces, 1)) * PIECE
                size = min(PIECE, tensor.end - tensor.begin - begin)
                for _ in opened.merged_chunks(name, distilled, [(begin, size)] if size else []):
                    pass
                yield name, begin, memory.taken()


def read_piece(path: Path, begin: int, size: int) -> bytearray:
    """Bytes of a file."""
    found = bytearray(size)
    with ShardReader(path, direct=False) as reader:
        reader.read(begin, memoryview(found))
    return found


def other_average(path: Path, name: str, shares: Shares) -> str:
    """That a tensor is not the average; path: of its file."""
    what = f"alpha {shares[0]:g}" if len(shares) == 2 else f"shares {shown(shares)}"
    return f"{path}: tensor {name} is not the average of its inputs at {what}; merge again"


class OpenShard:
    """A shard of the base while it is merged: readers of the inputs, by their files, and what takes a result's bytes.

    writers: by the result's shares; of each only `write` and, for a message, `path`
    """

    def __init__(
        self,
        shard: Shard,
        writers: "Mapping[Shares, ShardWriter | Memory]",
        writing: Writing,
        files: contextlib.ExitStack,
    ):
        self.shard, self.results, self.writing, self._files = shard, list(writers), writing, files
        self.readers: dict[Path, ShardReader] = {}
        self.writers = list(writers.values())
        self._rooms: dict[str, Averages | Copies] = {}

    def merged_chunks(
        self, name: str, distilled: Sequence[Checkpoint], pieces: Iterable[tuple[int, int]] | None = None
    ) -> Iterator[tuple[int, bool]]:
        """Merge a tensor. Gives after each chunk its bytes, and whether all inputs have the same there.

        pieces: (begin, size) in bytes of the tensor; None: all of it. Raises UserError naming a value that is not
        finite.
        """
        tensor, room = self.shard.tensors[name], self._room(self.shard.tensors[name].dtype)
        length = tensor.end - tensor.begin
        sources = [self.shard, *(checkpoint.shard_of[name] for checkpoint in distilled)]
        readers = [(self._reader(source), source.tensors[name].begin) for source in sources]
        whole = ((done, min(CHUNK, length - done)) for done in range(0, length, CHUNK))
        for done, size in whole if pieces is None else pieces:
            for (reader, begin), buffer in zip(readers, room.inputs, strict=True):
                reader.read(begin + done, buffer[:size])
            try:
                room.average(size)
            except NotFiniteError as error:
                path = self.writers[0].path if error.which is None else sources[error.which].path
                first = done // room.itemsize + error.element
                raise UserError(NOT_FINITE.format(path=path, name=name, element=first)) from None
            for writer, part in zip(self.writers, room.merged, strict=True):
                writer.write(part[: size // room.itemsize * room.written_itemsize])
            yield size, room.same(size)

    def _reader(self, source: Shard) -> ShardReader:
        if source.path not in self.readers:
            reader = self._files.enter_context(ShardReader(source.path, self.writing.direct))
            reader.read(0, memoryview(bytearray(len(source.header))))  # for its digest
            self.readers[source.path] = reader
        return self.readers[source.path]

    def _room(self, dtype: str) -> Averages | Copies:
        if dtype not in self._rooms:
            floats = dtype in FLOATS
            written = self.writing.dtype or dtype
            self._rooms[dtype] = Averages(dtype, written, self.results) if floats else Copies(self.results)
        return self._rooms[dtype]


def _write_index(base: Checkpoint, out: Path, dtype: str | None) -> None:
    if not (base.folder / INDEX).is_file():
        return
    text = (base.folder / INDEX).read_text()
    if dtype:
        index = json.loads(text)
        metadata = (index.get("metadata") or {}) | {"total_size": _data_bytes(base, dtype)}
        text = json.dumps(index | {"metadata": metadata}, indent=2) + "\n"
    (out / INDEX).write_text(text)
