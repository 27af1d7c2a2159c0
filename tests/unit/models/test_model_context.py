"""A model's copy for more tokens: what transformers and vLLM make of its config.json, and what is left as it was."""

import json

import pytest

from polaris.generation.settings import Engine
from polaris.models.model_context import check_context, extended, with_context
from polaris.models.settings import Yarn
from polaris.stage.errors import UserError
from polaris.stage.settings import validated

YARN = Yarn(factor=1.5, original=65536)
SHAPE = {"model_type": "qwen3", "head_dim": 128, "hidden_size": 256, "num_attention_heads": 2, "vocab_size": 64}
# As transformers 4 and 5 write the same model.
OLD = SHAPE | {"max_position_embeddings": 40960, "rope_theta": 1000000, "rope_scaling": None}
NEW = SHAPE | {
    "max_position_embeddings": 40960,
    "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"},
}


@pytest.fixture(params=[OLD, NEW], ids=["rope_scaling", "rope_parameters"])
def model(request, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(request.param))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_longer_context_and_nothing_else(model, tmp_path):
    before = json.loads((model / "config.json").read_text())
    copy = with_context(model, 49152, None, tmp_path / "copy")
    assert json.loads((copy / "config.json").read_text()) == before | {"max_position_embeddings": 49152}
    assert (copy / "model.safetensors").samefile(model / "model.safetensors")
    assert extended(before, 1000, None) == before, "what holds more already keeps it"
    assert with_context(model, None, None, tmp_path / "none") == model
    assert json.loads((model / "config.json").read_text()) == before
    with_context(model, 53248, None, tmp_path / "copy")  # a resumed stage makes it again
    check_context(tmp_path / "copy", 53248, "")
    with pytest.raises(UserError, match="49152 tokens, but .*config.json allows 40960; raise it"):
        check_context(model, 49152, "raise it")


def test_yarn_stretches_without_another_temperature(model, tmp_path):
    """transformers and vLLM both read the copy; V1's own spelling would have left 0.1 ln(1.5) + 1.

    What vLLM makes of it: tests/parity/test_vllm_transformers.py, with 0.24.0 by `make compat`.
    """
    from transformers import AutoConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    config = AutoConfig.from_pretrained(with_context(model, None, YARN, tmp_path / "copy"))
    plain = AutoConfig.from_pretrained(model)
    assert config.max_position_embeddings == 98304
    assert config.rope_parameters["rope_theta"] == plain.rope_parameters["rope_theta"] == 1000000
    frequencies, scale = ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")
    assert scale == 1.0
    # The fastest turns stay, the slowest are stretched in full.
    assert frequencies[0] == 1.0 and float(frequencies[-1]) == pytest.approx(1000000 ** (-126 / 128) / 1.5)
    config.rope_parameters["attn_factor"] = config.rope_parameters.pop("attention_factor")
    assert ROPE_INIT_FUNCTIONS["yarn"](config, "cpu")[1] == pytest.approx(1.0405, abs=1e-4)


def test_an_engine_stays_within_its_yarn():
    values = {
        "device": "cuda",
        "dtype": "bfloat16",
        "max_model_len": 98305,
        "max_num_seqs": 8,
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 1,
        "nodes": 1,
        "kv_cache_dtype": "auto",
        "replicas": 1,
        "kv_cache_gib": None,
        "gpu_memory_utilization": 0.9,
    }
    with pytest.raises(UserError, match=r"max_model_len \(98305\) must not exceed yarn's factor \* original"):
        validated(Engine, values | {"yarn": {"factor": 1.5, "original": 65536}}, "engine")
    with pytest.raises(UserError, match="engine: yarn.original: this key is missing"):
        validated(Engine, values | {"yarn": {"factor": 1.5}}, "engine")
