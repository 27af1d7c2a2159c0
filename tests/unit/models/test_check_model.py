"""What is refused where a model enters, and the sentence that says so."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from polaris.models.check_model import check_model, check_tokenizer
from polaris.models.tiny_tokenizer import CHAT_TEMPLATE
from polaris.stage.errors import UserError
from tests.helpers.models import INDEX, edit_json

SHARD = "model-00002-of-00002.safetensors"


def refused(model, message):
    with pytest.raises(UserError, match=message) as caught:
        check_tokenizer(model, check_model(model))
    assert "\n" not in str(caught.value) and "/tmp/tmp" not in str(caught.value)


def test_a_whole_model_passes(model):
    edit_json(model / "config.json", rope_theta=1e6, rope_scaling=None, quantization_config=None)
    check_tokenizer(model, check_model(model))


# --- weights ----------------------------------------------------------------------------------------------------
def cut(model):
    (model / SHARD).write_bytes((model / SHARD).read_bytes()[:-8])


def rename_tensor(model):
    save_file({"other": np.zeros((4, 4), np.float32)}, model / SHARD)


def only_pickled(model):
    for path in [*model.glob("*.safetensors"), model / INDEX]:
        path.unlink()
    (model / "pytorch_model.bin").write_bytes(b"\x80")


def only_an_adapter(model):
    for path in [*model.glob("*.safetensors"), model / INDEX]:
        path.unlink()
    save_file({"base_model.model.a.lora_A.weight": np.zeros((2, 2), np.float32)}, model / "adapter_model.safetensors")
    (model / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "org/name"}')


TRUE = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}


def tensors(data=64, **entries):
    """A shard with this header and so many bytes of data, and an index that knows its tensors."""

    def write(model):
        text = json.dumps(entries).encode()
        (model / SHARD).write_bytes(len(text).to_bytes(8, "little") + text + bytes(data))
        edit_json(
            model / INDEX, weight_map={"layer.0.weight": SHARD.replace("2-of", "1-of"), **dict.fromkeys(entries, SHARD)}
        )

    return write


def tensor(**entry):
    return tensors(w=TRUE | entry)


def a_name_twice(model):
    text = b'{"layer.1.weight": 1, "layer.1.weight": 2}'
    (model / SHARD).write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))


def a_header_of(length):
    return lambda model: (model / SHARD).write_bytes(length.to_bytes(8, "little") + b"{}")


def index(weight_map):
    return lambda model: (model / INDEX).write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m: (m / "config.json").unlink(), "config.json: there is no such file"),
        (lambda m: (m / "config.json").write_text("{"), "config.json: line 1 is not JSON"),
        (lambda m: (m / "config.json").write_text("[]"), "config.json: this is a list, and an object"),
        (lambda m: (m / "config.json").write_text("{}"), "config.json: it has no model_type"),
        (lambda m: (m / "tokenizer.json").unlink(), "there is no tokenizer in it"),
        (lambda m: (m / SHARD).unlink(), f"{SHARD}: the index names this shard, but it is not there"),
        (cut, f"{SHARD}: it has .* bytes, its header promises .*: it was cut off"),
        (rename_tensor, "it puts tensor layer.1.weight into .*, but no shard holds it"),
        (lambda m: (m / INDEX).unlink(), "it has neither model.safetensors.index.json nor model.safetensors: save"),
        (only_pickled, r"nor model.safetensors, only pytorch_model.bin; pickled weights are refused"),
        (only_an_adapter, "adapter_config.json: this is an adapter, not a model: merge it into its base model"),
        (tensors(w=TRUE, v=TRUE | {"data_offsets": [-64, 0]}), f"{SHARD}: tensor v has -64 in its shape or"),
        (tensors(w=TRUE, v=TRUE | {"data_offsets": [64, 0]}), "tensor v .F32 .4, 4.. should have 64 bytes, not -64"),
        (tensors(w=TRUE, v=TRUE), "tensor v begins at byte .* was expected"),
        (tensors(192, w=TRUE, v=TRUE | {"data_offsets": [128, 192]}), "tensor v begins at byte .* was expected"),
        (tensor(data_offsets=[0, 64.0]), "tensor w has 64.0 in its shape or data_offsets"),
        (tensor(data_offsets=[0, 32], shape=[4, 2]), "its header accounts for"),
        (tensor(shape=[5, 4]), "should have 80 bytes, not 64"),
        (tensor(dtype="F33"), "unknown dtype 'F33'"),
        (tensor(dtype="F8_E4M3", shape=[64]), "w is F8_E4M3: quantised weights can be neither trained"),
        (a_name_twice, "the key layer.1.weight occurs twice"),
        (a_header_of(2**63), "its header would have 9223372036854775808 bytes"),
        (a_header_of(90_000_000), "it was cut off"),
        (index([["layer.0.weight", SHARD]]), f"{INDEX}: its weight_map is no object"),
        (index({"a": "../other.safetensors"}), "../other.safetensors is not the name of a safetensors file beside"),
        (index({"a": "/etc/x.safetensors"}), "weight_map: a: /etc/x.safetensors is not the name"),
        (index({"a": "sub/x.safetensors"}), "weight_map: a: sub/x.safetensors is not the name"),
    ],
)  # fmt: skip
def test_weights_that_are_not_what_they_say(model, damage, message):
    damage(model)
    refused(model, message)


# --- configuration and tokenizer --------------------------------------------------------------------------------
def eos_of_a_base(model):
    """As Qwen's base models: eos_token ends a document, and turns end otherwise."""
    edit_json(model / "tokenizer_config.json", eos_token="<|endoftext|>")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"quantization_config": {"quant_method": "fp8"}}, r"quantization_config says .* quantised \(fp8\): they"),
        ({"compression_config": {"quant_method": "compressed-tensors"}}, r"compression_config says that its weights"),
        ({"quantization_config": "4 bits"}, r"quantised \(4 bits\)"),
        ({"vocab_size": 300}, "vocab_size is 300, but the tokenizer beside it has ids up to 319"),
        ({"rope_scaling": {"type": "yarn", "rope_type": "default"}}, "rope_type of its RoPE is 'yarn' and 'default'"),
        ({"rope_theta": 1, "rope_parameters": {"rope_theta": 2}}, "rope_theta of its RoPE is 2 and 1: libraries"),
    ],
)  # fmt: skip
def test_a_configuration_that_no_stage_can_use(model, values, message):
    edit_json(model / "config.json", **values)
    refused(model, message)


def test_the_weights_of_gpt_oss_are_a_teachers(model):
    edit_json(model / "config.json", quantization_config={"quant_method": "mxfp4"})
    check_model(model)


TURN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (TURN + "<|endoftext|>{% endfor %}", r"ends a turn with '<|endoftext|>', but .* eos_token is '<|im_end|>': no"),
        (TURN + "{% endfor %}", "ends a turn with '', but the tokenizer's eos_token"),
        ("{{ messages[0].content }}", "does not write what the assistant says"),
        ("{{ \n{% if %}", "the chat template cannot be used: line 2: unexpected '%'"),
        (CHAT_TEMPLATE + "{{ raise_exception('no\nassistant') }}", "cannot be used: no assistant; correct"),
    ],
)
def test_a_template_that_no_stage_can_use(model, template, message):
    (model / "chat_template.jinja").write_text(template)
    refused(model, message if "|" not in message else re.escape(message).replace(r"\.\*", ".*"))


def test_an_end_of_turn_that_is_not_eos_token(model):
    eos_of_a_base(model)
    refused(
        model, re.escape("model: the chat template ends a turn with '<|im_end|>', but the tokenizer's eos_token is")
    )


@pytest.mark.parametrize("text", ["{}", "[]", '{"version": "1.0", "model": {"type": "BPE"}}', "\xff"])
def test_a_tokenizer_that_cannot_be_read(model, text):
    (model / "tokenizer.json").write_text(text)
    refused(model, "the tokenizer cannot be read|vocab_size|ids up to|special")
