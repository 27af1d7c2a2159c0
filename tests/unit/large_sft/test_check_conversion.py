"""What the conversion gate refuses, as far as no engine is needed; tests/parity/test_megatron.py runs it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from large_sft.model.weights import Weights
from large_sft.training.check_conversion import check_returned, read_reference
from large_sft.training.job import ReturnedTensor
from large_sft.training.score_prompts import prompt_tokens
from large_sft.training.train_sft import check_gate
from polaris.stage.errors import UserError

GOOD = {
    "a": {"dtype": "F32", "shape": [2, 3], "xxh3": "11", "start": "11"},
    "b": {"dtype": "F32", "shape": [4], "xxh3": "22", "start": "22"},
}


def check(folder, tensors):
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float32)}, folder / "model.safetensors")
    check_returned({name: ReturnedTensor(**values) for name, values in tensors.items()}, Weights(folder, "numpy"))


def test_an_unchanged_model_passes(tmp_path):
    check(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": GOOD["a"]}, "after Hugging Face -> Megatron -> Hugging Face: the model lacks 1 tensors: b"),
        ({**GOOD, "c": GOOD["a"]}, "has unexpected 1 tensors: c"),
        ({**GOOD, "b": {**GOOD["b"], "xxh3": "23"}}, "1 of 2 tensors come back .* with other bytes .*: b; .* F32"),
        ({**GOOD, "a": {**GOOD["a"], "shape": [3, 2]}}, "1 of 2 tensors come back .*: a;"),
    ],
)
def test_what_is_not_the_model_is_named(tmp_path, tensors, message):
    with pytest.raises(UserError, match=message):
        check(tmp_path, tensors)


@pytest.mark.parametrize(
    ("gates", "start", "message"),
    [
        ({}, "x", None),
        ({"layout": {"expert": 1}}, "x", "another layout"),
        ({"transformer_impl": "local"}, "x", "another transformer_impl"),
        ({"dispatcher": "flex"}, "x", "another dispatcher"),
        ({"transformer_impl": None}, "x", "another transformer_impl"),  # passed before the key had this name
        ({}, "y", "another start model"),
    ],
)
def test_the_training_wants_its_own_gate(gates, start, message):
    own = {"layout": {"expert": 2}, "transformer_impl": "transformer_engine", "dispatcher": "alltoall"}
    passed = {name: value for name, value in {**own, **gates}.items() if value is not None}
    gate = SimpleNamespace(path="g/data.json", settings=passed, inputs={"start": {"content": start}})
    mine = SimpleNamespace(model_dump=lambda mode: own)
    stage = SimpleNamespace(settings=mine, inputs={"start": SimpleNamespace(content="x"), "conversion": gate})
    if message:
        with pytest.raises(UserError, match=message):
            check_gate(stage)
    else:
        check_gate(stage)


@pytest.mark.parametrize(
    ("start", "tokens", "message"),
    [("x", [[1, 2]], None), ("y", [[1, 2]], "another start model"), ("x", [[1, 3]], "other prompts")],
)
def test_the_reference_is_of_this_model_and_these_prompts(tmp_path, start, tokens, message):
    (tmp_path / "log_probs.json").write_text(json.dumps([{"tokens": ids, "log_probs": [-1.0]} for ids in tokens]))
    given = SimpleNamespace(path="r/data.json", inputs={"start": {"content": start}}, file=lambda name: tmp_path / name)
    gate = SimpleNamespace(vllm="an engine")
    stage = SimpleNamespace(
        settings=SimpleNamespace(gate=gate), inputs={"start": SimpleNamespace(content="x"), "reference": given}
    )
    if message:
        with pytest.raises(UserError, match=message):
            read_reference(stage, [[1, 2]])
    else:
        assert read_reference(stage, [[1, 2]]) == [{"tokens": [1, 2], "log_probs": [-1.0]}]
    gate.vllm = None
    with pytest.raises(UserError, match="give it with gate.vllm, and only then"):
        read_reference(stage, [[1, 2]])


@pytest.mark.parametrize(("prompt", "message"), [("a", "is one token"), ("a long one", "max_model_len .4. must be")])
def test_prompts_that_vllm_cannot_score(prompt, message):
    tokenizer = SimpleNamespace(encode=lambda text, add_special_tokens: list(text.encode()))
    with pytest.raises(UserError, match=message):
        prompt_tokens(tokenizer, [prompt], 4)
