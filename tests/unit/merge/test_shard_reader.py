"""Bytes of a file at any place are the same through the page cache and past it."""

import random

import pytest

from merge.shard_reader import ROOM, UNIT, ShardReader
from polaris.stage.errors import UserError
from polaris.stage.manifest import file_digest

SIZE = 2 * ROOM + 3 * UNIT + 17


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shard"
    path.write_bytes(random.Random(0).randbytes(SIZE))
    return path


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, UNIT),
        (8, 100),
        (UNIT - 1, 2),
        (UNIT, ROOM),
        (UNIT - 1, ROOM + 2),
        (5, 2 * ROOM),
        (SIZE - 1, 1),
        (3, SIZE - 3),
    ],
)
def test_any_part(path, direct, offset, length):
    found = bytearray(length)
    with ShardReader(path, direct) as reader:
        reader.read(offset, memoryview(found))
    assert bytes(found) == path.read_bytes()[offset : offset + length]


@pytest.mark.parametrize("direct", [False, True])
def test_a_file_that_ends_before(path, direct):
    with ShardReader(path, direct) as reader, pytest.raises(UserError, match="it became shorter"):
        reader.read(SIZE - 10, memoryview(bytearray(11)))


@pytest.mark.parametrize("direct", [False, True])
def test_digest_of_what_was_read_in_order(path, direct):
    with ShardReader(path, direct) as reader:
        for begin in range(0, SIZE, ROOM):
            assert reader.digest is None
            reader.read(begin, memoryview(bytearray(min(ROOM, SIZE - begin))))
        assert reader.digest == file_digest(path)
        reader.read(0, memoryview(bytearray(8)))  # again
        assert reader.digest == file_digest(path)
    with ShardReader(path, direct) as reader:
        reader.read(1, memoryview(bytearray(SIZE - 1)))
        reader.read(0, memoryview(bytearray(1)))
        assert reader.digest is None
