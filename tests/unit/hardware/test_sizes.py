"""Sizes on given hardware, part by part: engines, actors, layouts, and the nearest hardware that would do."""

import pytest

from polaris.generation.settings import Engine
from polaris.hardware import actors, engines, layouts
from polaris.hardware.fastest import fastest
from polaris.hardware.memory import TIGHT, total
from polaris.hardware.nearest import nearest
from polaris.hardware.settings import Hardware
from polaris.hardware.shapes import KNOWN
from polaris.recipe import recipe
from polaris.stage.code import ROOT

SMALL, MIDDLE, LARGE = (
    KNOWN[f"Qwen/Qwen3-{name}"] for name in ("4B-Thinking-2507", "30B-A3B", "235B-A22B-Thinking-2507")
)
DENSE, TINY = KNOWN["Qwen/Qwen3-1.7B"], KNOWN["Qwen/Qwen3-0.6B"]


def on(nodes: int, gpus: int, gpu: str = "H100-80GB") -> Hardware:
    return Hardware(nodes=nodes, gpus_per_node=gpus, gpu=gpu)


def engine(length: int = 33792, **other) -> Engine:
    values = {
        "device": "cuda", "dtype": "bfloat16", "max_model_len": length, "max_num_seqs": 256, "kv_cache_dtype": "auto",
        **engines.smallest(on(1, 1)), **other,
    }  # fmt: skip
    return Engine.model_validate(values)


@pytest.fixture(scope="module")
def v2() -> recipe.Recipe:
    return recipe.load([ROOT / "configs/polaris_v2.yaml"])


@pytest.mark.parametrize(
    ("shape", "hardware", "length", "places"),
    [
        (SMALL, on(1, 8), 83968, (1, 1, 1, 8)),
        (MIDDLE, on(1, 8), 33792, (2, 1, 1, 4)),  # one GPU has room for three responses
        (MIDDLE, on(1, 6), 33792, (2, 1, 1, 3)),
        (LARGE, on(1, 8), 83968, (8, 1, 1, 1)),  # three of them, and there is no more
        (LARGE, on(2, 8), 83968, (8, 2, 2, 1)),
        (TINY, on(1, 1, "RTX-4090"), 9216, (1, 1, 1, 1)),
        (SMALL, on(1, 4, "RTX-4090"), 33792, (2, 1, 1, 2)),
    ],
)
def test_an_engine_takes_as_many_gpus_as_its_responses_need(shape, hardware, length, places):
    found = engines.sizes(engine(length), [shape], hardware, {})
    keys = ("tensor_parallel_size", "pipeline_parallel_size", "nodes", "replicas")
    assert tuple(found[key] for key in keys) == places
    placed = engine(length).model_copy(update=found)
    assert engines.responses(placed, shape, hardware) >= 1 and Engine.model_validate(placed.model_dump()) == placed
    held = engines.responses(placed, shape, hardware)
    assert held >= engines.RESPONSES or placed.gpus == hardware.nodes * hardware.gpus_per_node


def test_an_engine_of_two_models_holds_both():
    assert engines.sizes(engine(), [SMALL, MIDDLE], on(1, 8), {})["tensor_parallel_size"] == 2
    assert engines.sizes(engine(), [LARGE], on(1, 4), {}) is None
    assert engines.sizes(engine(), [LARGE], on(2, 8), {}, alone=True)["nodes"] == 1
    halved = engines.sizes(engine(kv_cache_dtype="fp8"), [MIDDLE], on(1, 8), {})
    assert halved["tensor_parallel_size"] == 1  # twice as many responses in the same room


@pytest.mark.parametrize(
    ("hardware", "nodes"),
    [(on(1, 8), 1), (on(4, 8), 4), (on(16, 8), 4), (on(3, 8), 2)],
)
def test_rl_takes_nodes_that_its_rollouts_fill_and_share(v2, hardware, nodes):
    """512 rollouts a step: 16 or more on a GPU, and each GPU as many. Three nodes cannot share them."""
    stage = v2.small_rl.rl["grpo"]
    own, rollouts = actors.rl_sizes(stage, SMALL, hardware, {}, {})
    assert own == {"nodes": nodes, "gpus_per_node": 8, "max_tokens_per_gpu": 66560}
    assert 0 < rollouts["gpu_memory_utilization"] <= actors.LARGEST_SHARE and rollouts["replicas"] == 1


def test_rl_that_does_not_fit_takes_more_gpus_or_none(v2):
    stage = v2.small_rl.rl["grpo"].model_copy(update={"prompts_per_step": 8, "max_response_length": 8192})
    stage = stage.model_copy(update={"engine": engine(9216)})
    # 64 rollouts would be 4 GPUs; of a 24 GB card the model needs all eight.
    assert actors.rl_sizes(stage, SMALL, on(1, 8, "RTX-4090"), {}, {})[0]["gpus_per_node"] == 8
    assert actors.rl_sizes(stage, SMALL, on(1, 1, "RTX-4090"), {}, {}) is None
    assert actors.rl_sizes(stage, SMALL, on(1, 8), {"gpus_per_node": 2}, {})[0]["gpus_per_node"] == 2
    assert actors.passes(stage) == [16384, 9216]


def test_the_format_sft_takes_the_gpus_that_share_its_batch(v2):
    settings = v2.small_rl.format_sft
    assert actors.format_gpus(settings, SMALL, on(1, 8)) == 8
    assert actors.format_gpus(settings, SMALL, on(1, 6)) == 4  # 64 examples over 4, not over 5 or 6
    assert actors.format_gpus(settings, SMALL, on(1, 1, "RTX-4090")) is None


def test_the_fastest_layout_is_one_that_fits_with_room_to_spare(v2):
    settings = v2.large_sft.sft
    found = fastest(LARGE, settings, on(16, 8), {})
    assert found == settings.layout  # by hand: 57 GiB, experts within a node
    assert fastest(LARGE, settings, on(4, 8), {}) is None
    middle = fastest(MIDDLE, settings, on(4, 8), {})
    need = total(layouts.of(MIDDLE, settings.model_copy(update={"layout": middle})))
    assert need <= TIGHT * on(1, 1).kind.memory and middle.pipeline == 1 and middle.nodes == 4
    forced = fastest(MIDDLE, settings, on(4, 8), {"pipeline": 4, "nodes": 2})
    assert (forced.pipeline, forced.nodes) == (4, 2)


def test_a_dense_model_has_layouts_too(v2):
    """Its blocks are cut as its attention is: a layout without expert ranks."""
    settings = v2.large_sft.sft
    found = fastest(DENSE, settings, on(1, 8), {"tensor": 2})
    assert (found.tensor, found.expert, found.expert_tensor) == (2, 1, 2)
    assert fastest(DENSE, settings, on(1, 1), {}).tensor == 1
    assert fastest(DENSE, settings, on(1, 1, "RTX-4090"), {}) is None


def test_the_nearest_hardware_is_more_of_it_or_a_larger_kind():
    def fits(other: Hardware) -> bool:
        return other.nodes * other.gpus_per_node * other.kind.memory > 100 * 2**30

    assert nearest(on(1, 1, "RTX-4090"), fits) == "it fits on 8 x RTX-4090 or 1 x H200"
    assert nearest(on(1, 8, "L40S"), lambda other: other.nodes >= 4) == "it fits on 4 nodes of 8 x L40S"
    assert nearest(on(1, 1), lambda other: False) == "it fits on no 64 nodes of these GPUs"
