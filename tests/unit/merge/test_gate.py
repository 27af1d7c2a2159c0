"""What the gate of the merge refuses, and that it says where and what."""

import json
import shutil

import pytest
import torch

from merge import gate
from polaris.models.checkpoint import read_checkpoint
from polaris.stage.errors import UserError
from tests.helpers.merge_checkpoints import BASE, TOKENIZER, near, save, write_json


@pytest.fixture
def pair(tmp_path):
    return save(tmp_path / "base model", BASE, shards=2), save(tmp_path / "distilled model", near(BASE, 2), shards=3)


def check(pair):
    gate.check_pair(*(read_checkpoint(folder) for folder in pair))
    gate.check_tokenizer(*pair)


def refused(pair, *parts):
    """The refusal, which must mention all of `parts`."""
    with pytest.raises(UserError) as caught:
        check(pair)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    return message


def test_two_cuts_of_one_model_pass(pair):
    check(pair)


def resaved(pair, tensors, shards=1):
    shutil.rmtree(pair[1])
    save(pair[1], tensors, shards)
    return pair


def test_extra_tensor_is_refused_from_either_side(pair):
    resaved(pair, near(BASE, 2) | {"model.layers.0.q_proj.bias": torch.zeros(48)})
    refused(pair, "base model", "q_proj.bias")
    refused(pair[::-1], "base model", "q_proj.bias")


def test_missing_expert_is_refused(pair):
    tensors = near(BASE, 2)
    del tensors["model.layers.0.mlp.experts.1.up_proj.weight"]
    refused(resaved(pair, tensors), "distilled model", "experts.1.up_proj.weight")


def test_one_f32_tensor_among_bf16_is_refused(pair):
    tensors = near(BASE, 2)
    tensors["model.norm.weight"] = tensors["model.norm.weight"].float()
    refused(resaved(pair, tensors), "model.norm.weight", "F32", "BF16")


def test_other_shape_is_refused(pair):
    tensors = near(BASE, 2)
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:-1].clone()
    refused(resaved(pair, tensors), "lm_head.weight", "[63, 48]", "[64, 48]")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_quantised_weights_are_refused(tmp_path, dtype):
    tensors = BASE | {"lm_head.weight": torch.ones(64, 48).to(dtype)}
    same = [save(tmp_path / name, tensors) for name in ("base", "distilled")]
    refused(same, "lm_head.weight", "quantised")


def test_integers_pass_where_both_have_the_same(tmp_path):
    places = torch.arange(7)
    folders = [save(tmp_path / name, BASE | {"model.places": places}) for name in ("base", "distilled")]
    check(folders)
    folders[1] = save(tmp_path / "other", BASE | {"model.places": places + (places == 6)})
    refused(folders, "other/model.safetensors: tensor model.places is I64 and differs", "integers cannot be averaged")


def edit_json(path, **values):
    write_json(path, json.loads(path.read_text("utf-8-sig")) | values)


def test_config_may_differ_only_where_it_does_not_matter(pair):
    edit_json(pair[1] / "config.json", transformers_version="5.0", use_cache=False, rope_scaling=None)
    config = json.loads((pair[1] / "config.json").read_text())
    config["torch_dtype"] = config.pop("dtype")
    write_json(pair[1] / "config.json", config)
    check(pair)
    edit_json(pair[1] / "config.json", rope_scaling={"rope_type": "yarn", "factor": 4.0})
    refused(pair, "distilled model/config.json", "rope_parameters.factor is 4.0, absent in")


def test_tokenizer_with_two_ids_swapped_is_refused(pair):
    edit_json(pair[1] / "tokenizer.json", padding={"length": 8})
    check(pair)
    swapped = TOKENIZER["model"] | {"vocab": {"a": 0, "b": 2, "c": 1}}
    edit_json(pair[1] / "tokenizer.json", model=swapped)
    refused(pair, "distilled model/tokenizer.json: model.vocab.b is 2, 1 in", "base model/tokenizer.json: token ids")


def test_files_that_say_the_same_in_another_form_pass(pair):
    edit_json(
        pair[0] / "config.json", rope_theta=1e6, num_experts=8, num_hidden_layers=1, layer_types=["full_attention"]
    )
    same = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "num_local_experts": 8}
    edit_json(pair[1] / "config.json", **same, num_hidden_layers=1, attention_bias=False)
    for folder, merges in zip(pair, (["a b"], [["a", "b"]]), strict=True):
        edit_json(folder / "tokenizer.json", model={"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": merges})
    for name in ("config.json", "tokenizer_config.json"):
        (pair[1] / name).write_bytes(b"\xef\xbb\xbf" + (pair[1] / name).read_bytes())  # a byte order mark
    check(pair)
    edit_json(pair[0] / "config.json", num_experts=16)
    refused(pair, "distilled model/config.json: num_experts is 8, 16 in")


def test_other_special_tokens_are_refused(pair):
    edit_json(pair[1] / "tokenizer_config.json", eos_token={"content": "c", "lstrip": False}, pad_token=None)
    check(pair)
    edit_json(pair[1] / "tokenizer_config.json", eos_token="b")
    refused(pair, "special tokens", "'b'", "'c'")


def test_other_chat_template_is_refused(pair):
    (pair[1] / "chat_template.jinja").write_text("{{ messages }}")
    check(pair)
    (pair[1] / "chat_template.jinja").write_text("{{ messages[0] }}")
    refused(pair, "chat template", "messages[0]")


def test_vocabularies_that_cannot_be_compared_are_refused(pair):
    (pair[1] / "tokenizer.json").unlink()
    refused(pair, "distilled model", "tokenizer.json", "copy the tokenizer")


def test_too_little_room_is_refused(tmp_path):
    gate.check_space(tmp_path, 1)
    with pytest.raises(UserError, match=r"needs 10000\d\d\.\d\d GB"):
        gate.check_space(tmp_path, 10**15)


# --- files that are not what they claim -------------------------------------------------------------------------
def shard(pair):
    return pair[1] / "model-00002-of-00003.safetensors"


@pytest.mark.parametrize("cut", [-1, 100, 4])
def test_cut_shard_is_refused(pair, cut):
    content = shard(pair).read_bytes()
    shard(pair).write_bytes(content[:cut])
    refused(pair, "model-00002-of-00003.safetensors", "cut off" if cut != 4 else "no safetensors file")


def test_shard_with_bytes_too_many_is_refused(pair):
    with shard(pair).open("ab") as file:
        file.write(b"x")
    refused(pair, "model-00002-of-00003.safetensors", "accounts for")


def test_missing_shard_is_refused(pair):
    shard(pair).unlink()
    refused(pair, "model-00002-of-00003.safetensors", "not there")


def test_index_that_contradicts_the_shards_is_refused(pair):
    index = pair[1] / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    edit_json(index, weight_map=weight_map | {"model.norm.weight": "model-00002-of-00003.safetensors"})
    refused(pair, index.name, "model.norm.weight", "model-00001-of-00003.safetensors holds it")
    del weight_map["lm_head.weight"]
    edit_json(index, weight_map=weight_map)
    refused(pair, index.name, "lm_head.weight", "not listed")


def test_tensor_in_two_shards_is_refused(pair):
    shutil.copy(shard(pair), pair[1] / "model-00003-of-00003.safetensors")
    refused(pair, "model-00003-of-00003.safetensors", "model-00002-of-00003.safetensors too")


def test_model_without_safetensors_is_refused(pair):
    for path in pair[1].glob("*.safetensors*"):
        path.unlink()
    refused(pair, "distilled model", "save the model as safetensors")
