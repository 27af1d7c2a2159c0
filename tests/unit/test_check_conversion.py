"""What the conversion gate refuses, as far as no engine is needed; tests/parity/test_megatron.py runs it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from large_sft.check_conversion import returned_tensors
from large_sft.train_sft import check_gate
from large_sft.weights import Weights
from polaris.errors import UserError

GOOD = {
    "a": {"dtype": "F32", "shape": [2, 3], "xxh3": "11", "start": "11"},
    "b": {"dtype": "F32", "shape": [4], "xxh3": "22", "start": "22"},
}


def returned(folder, *parts):
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float32)}, folder / "model.safetensors")
    for rank, part in enumerate(parts):
        (folder / f"tensors-{rank}.json").write_text(json.dumps(part))
    return returned_tensors(folder, Weights(folder, "numpy"))


def test_tensors_of_all_processes_are_the_model(tmp_path):
    assert returned(tmp_path, {"a": GOOD["a"]}, {"b": GOOD["b"]}) == GOOD


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"a": GOOD["a"]}, {}], "after Hugging Face -> Megatron -> Hugging Face: the model lacks 1 tensors: b"),
        ([GOOD, {"c": GOOD["a"]}], "has unexpected 1 tensors: c"),
        ([GOOD, {"b": GOOD["b"]}], "two processes gave back the same tensor"),
        ([{**GOOD, "b": {**GOOD["b"], "xxh3": "23"}}], "1 of 2 tensors come back .* with other bytes .*: b; .* F32"),
        ([{**GOOD, "a": {**GOOD["a"], "shape": [3, 2]}}], "1 of 2 tensors come back .*: a;"),
    ],
)
def test_what_is_not_the_model_is_named(tmp_path, parts, message):
    with pytest.raises(UserError, match=message):
        returned(tmp_path, *parts)


@pytest.mark.parametrize(
    ("layout", "start", "message"),
    [({"expert": 2}, "x", None), ({"expert": 1}, "x", "another layout"), ({"expert": 2}, "y", "another start model")],
)
def test_the_training_wants_its_own_gate(layout, start, message):
    gate = SimpleNamespace(path="g/data.json", settings={"layout": layout}, inputs={"start": {"content": start}})
    mine = SimpleNamespace(layout=SimpleNamespace(model_dump=lambda mode: {"expert": 2}))
    stage = SimpleNamespace(settings=mine, inputs={"start": SimpleNamespace(content="x"), "conversion": gate})
    if message:
        with pytest.raises(UserError, match=message):
            check_gate(stage)
    else:
        check_gate(stage)
