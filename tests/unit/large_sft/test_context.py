"""Which tokens lie on which context-parallel rank, and what a layout asks of a pack and of the layers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from large_sft.model.context import own_tokens, padded_length
from large_sft.model.layout import is_same_layout, layers_of_stages
from large_sft.settings import Layout
from polaris.stage.errors import UserError

PLACE = {"gpus_per_node": 12, "nodes": 1, "tensor": 1, "expert": 1, "expert_tensor": 1, "context": 1}


def test_the_ranks_hold_the_outer_and_the_inner_chunks_of_every_trace():
    assert own_tokens([0, 4, 12], 2, 0).tolist() == [0, 3, 4, 5, 10, 11]
    assert own_tokens([0, 4, 12], 2, 1).tolist() == [1, 2, 6, 7, 8, 9]
    assert own_tokens([0, 3, 5], 1, 0).tolist() == [0, 1, 2, 3, 4]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(1, 5))
def test_every_token_is_on_one_rank_and_all_ranks_attend_to_as_much(lengths, ranks):
    rooms = [padded_length(length, ranks) for length in lengths]
    assert all(0 <= more - length < max(2, 2 * ranks) for more, length in zip(rooms, lengths, strict=True))
    edges = [0, *np.cumsum(rooms).tolist()]
    own = [own_tokens(edges, ranks, rank) for rank in range(ranks)]
    assert sorted(np.concatenate(own).tolist()) == list(range(edges[-1]))
    starts = np.repeat(edges[:-1], rooms)
    seen = {int((places - starts[places] + 1).sum()) for places in own}
    assert len(seen) == 1 and len({len(places) for places in own}) == 1


@pytest.mark.parametrize(
    ("layers", "pipeline", "virtual", "first", "last", "stages"),
    [
        (94, 2, 1, None, None, [47, 47]),
        (94, 4, 1, 23, 23, [23, 24, 24, 23]),
        (94, 12, 1, 7, 7, [7, *[8] * 10, 7]),
        (94, 4, 2, 22, None, [22, 24, 24, 24]),
        (5, 2, 1, 2, 3, [2, 3]),
        (94, 4, 1, None, None, "4 stages cannot share the model's 94 layers equally; first_layers"),
        (94, 4, 1, 23, 24, "94 layers equally with first_layers 23 and last_layers 24"),
        (5, 2, 1, 2, 2, "5 layers equally with first_layers 2 and last_layers 2"),
        (2, 3, 1, 1, None, "3 stages cannot share the model's 2 layers"),
        (94, 2, 2, None, None, "virtual_pipeline: 2 does not divide a pipeline stage's 47 layers"),
    ],
)
def test_layers_of_the_pipeline_stages(layers, pipeline, virtual, first, last, stages):
    layout = Layout(**PLACE, pipeline=pipeline, virtual_pipeline=virtual, first_layers=first, last_layers=last)
    if isinstance(stages, list):
        assert layers_of_stages(layers, layout) == stages
    else:
        with pytest.raises(UserError, match=stages):
            layers_of_stages(layers, layout)


@pytest.mark.parametrize("wrong", [{"virtual_pipeline": 2}, {"first_layers": 1}, {"last_layers": 1}])
def test_one_stage_has_no_pipeline(wrong):
    with pytest.raises(ValueError, match="needs several pipeline stages"):
        Layout(**{**PLACE, "pipeline": 1, "virtual_pipeline": 1, "first_layers": None, "last_layers": None, **wrong})


def test_gradients_of_experts_that_would_not_be_summed():
    """tensor: 2 with whole experts and expert: 1 gives wrong gradients in megatron-core 0.16.1, without a word."""
    whole = {"pipeline": 1, "virtual_pipeline": 1, "first_layers": None, "last_layers": None}
    with pytest.raises(ValueError, match=r"expert: 1 needs expert_tensor \(1\) equal to tensor \(2\)"):
        Layout(**{**PLACE, **whole, "tensor": 2})


@pytest.mark.parametrize(
    ("now", "reshardable", "data", "expected"),
    [
        ({}, False, "a", True),
        ({"tensor": 2}, True, "a", False),
        (
            {"tensor": 2},
            False,
            "a",
            "written in a layout of tensor 1, this one has tensor 2, and `reshardable` was false",
        ),
        ({"expert": 1}, True, "a", "expert 2, this one has expert 1; layouts of expert 1 and of more do not"),
        ({"context": 2}, True, "b", "context 1, this one has context 2, which packs the traces in another way"),
        ({}, True, "b", "it belongs to other data or another batch size"),
    ],
)
def test_which_checkpoint_goes_on(now, reshardable, data, expected):
    sizes = {
        **PLACE,
        "gpus_per_node": 4,
        "pipeline": 1,
        "virtual_pipeline": 1,
        "first_layers": None,
        "last_layers": None,
    }
    then = Layout(**{**sizes, "expert": 2})
    about = {"data": "a", "layout": then.model_dump(), "reshardable": reshardable}
    layout = Layout(**{**then.model_dump(), **now})
    if isinstance(expected, bool):
        assert is_same_layout(about, data, layout, Path("c")) is expected
    else:
        with pytest.raises(UserError, match=f"^c: it .*{expected}|^c: {expected}"):
            is_same_layout(about, data, layout, Path("c"))
