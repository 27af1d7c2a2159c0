"""Hardware in a recipe of a few parts: it walks what is there."""

import pytest

from polaris.hardware.expansion import expansion
from polaris.hardware.parts import LARGE, USUAL, Parts
from polaris.hardware.settings import CPU, Hardware
from polaris.stage.errors import UserError

NODE = Hardware(nodes=1, gpus_per_node=8, gpu="H100-80GB")
ENGINE = {
    "device": "cuda", "dtype": "bfloat16", "max_model_len": 33792, "max_num_seqs": 64, "kv_cache_dtype": "auto",
}  # fmt: skip


def hub(name: str) -> dict[str, str]:
    return {"hub": f"Qwen/{name}", "revision": "unpinned"}


def of(inputs: dict, evaluate: dict, hand: dict | None = None) -> Parts:
    """The parts of a recipe that only evaluates. hand: keys of the usual engine that are given by hand"""
    engine = ENGINE | (hand or {})
    values = {"run": "mine", "inputs": inputs, "evaluate": {"generate": {"engine": engine}} | evaluate}
    return Parts(values, lambda key: not (key[:-1] == USUAL and key[-1] in (hand or {})), "mine.yaml:1: hardware")


@pytest.mark.parametrize(("names", "tensor"), [(["Qwen3-4B"], 1), (["Qwen3-4B", "Qwen3-30B-A3B", "Qwen3-8B"], 2)])
def test_models_that_are_only_evaluated_share_an_engine(names, tensor):
    found = expansion(of({"models": {name[5:8]: hub(name) for name in names}}, {}), NODE)
    assert found == {
        ("device",): "cuda",
        (*USUAL, "tensor_parallel_size"): tensor,
        (*USUAL, "pipeline_parallel_size"): 1,
        (*USUAL, "nodes"): 1,
        (*USUAL, "replicas"): 8 // tensor,
        (*USUAL, "gpu_memory_utilization"): 0.9,
    }


def test_the_large_model_has_an_engine_of_its_own_or_shares_the_usual_one():
    inputs = {"base_small": hub("Qwen3-4B"), "base_large": hub("Qwen3-30B-A3B")}
    shared = expansion(of(inputs, {}), NODE)
    assert shared[*USUAL, "tensor_parallel_size"] == 2
    own = expansion(of(inputs, {"large_engine": ENGINE}), NODE)
    assert own[*USUAL, "tensor_parallel_size"] == 1 and own[*LARGE, "tensor_parallel_size"] == 2


def test_sizes_by_hand_ask_for_no_shape():
    hand = {"tensor_parallel_size": 4, "pipeline_parallel_size": 1, "nodes": 1, "replicas": 2}
    unknown = {"models": {"mine": {"hub": "nobody/knows-this", "revision": "unpinned"}}}
    found = expansion(of(unknown, {}, hand), NODE)
    assert found == {("device",): "cuda", (*USUAL, "gpu_memory_utilization"): 0.9}
    with pytest.raises(
        UserError, match=r"nobody/knows-this is, is in no table .* by hand in evaluate\.generate\.engine$"
    ):
        expansion(of(unknown, {}, {"replicas": 2}), NODE)


def test_a_cache_on_a_cpu_is_that_of_the_largest_model():
    """Of 64 responses but at most 4 GiB, and always of one: 33,792 tokens of 114,688 bytes, 147,456 in Qwen3-4B."""
    models, cpu = {"small": hub("Qwen3-0.6B")}, {"device": "cpu"}
    found = expansion(of({"models": models}, {}, cpu), CPU)
    assert found[*USUAL, "kv_cache_gib"] == 4.0 and found[("device",)] == "cpu"
    found = expansion(of({"models": models | {"mine": hub("Qwen3-4B")}}, {}, cpu), CPU)
    assert found[*USUAL, "kv_cache_gib"] == 4.75
    assert (*USUAL, "gpu_memory_utilization") not in found
