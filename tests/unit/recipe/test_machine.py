import os

import pytest

from polaris.recipe.machine import memory_mb

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max\n", MACHINE), (f"{512 * 2**20}\n", 512), ("9223372036854771712\n", MACHINE), (None, MACHINE)],
)
def test_memory_is_the_container_s_where_it_has_less(tmp_path, limit, expected):
    file = tmp_path / "memory.max"
    if limit:
        file.write_text(limit)
    assert memory_mb((file, tmp_path / "of the other version")) == expected
