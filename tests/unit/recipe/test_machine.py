import os

import pytest

from polaris.models.settings import HubModel, LocalModel
from polaris.recipe.machine import ENGINES, memory_mb, stage_mb

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


def test_a_stage_takes_what_its_largest_model_needs(tmp_path):
    small = HubModel(hub="Qwen/Qwen3-0.6B", revision="unpinned")
    models = {"base_small": small, "base_large": HubModel(hub="Qwen/Qwen3-1.7B", revision="unpinned"), "other": None}
    assert 1.6e9 * 4 < (stage_mb("vllm", models, tmp_path) - ENGINES["vllm"][0]) * 2**20 < 1.8e9 * 4
    assert stage_mb("rl", {"base_small": small}, tmp_path) > 4000 + 0.5e9 * 24 / 2**20


def test_what_is_not_known_counts_as_small(tmp_path):
    gone, unknown = LocalModel(path=tmp_path / "gone"), HubModel(hub="some/model", revision="unpinned")
    assert stage_mb("rl", {"base_small": gone, "models/a": unknown}, tmp_path) == ENGINES["rl"][0]
