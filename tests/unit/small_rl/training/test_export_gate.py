"""The gate between training and publication: a model that is not the trained one, in a tensor or as a whole, is told by
name.
"""

import json

import pytest

from polaris.models import canaries
from polaris.stage.errors import UserError
from small_rl.training import export_gate

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors_torch = pytest.importorskip("safetensors.torch")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    config = transformers.Qwen3Config(
        vocab_size=48, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=64, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


def log_probs(model, prompt, response):
    """By the definition, a token at a time; not the gate's own way."""
    found = []
    for place, token in enumerate(response):
        logits = model(torch.tensor([[*prompt, *response[:place]]])).logits[0, -1]
        found.append((logits[token] - logits.logsumexp(0)).item())
    return found


@pytest.fixture
def checkpoint(tmp_path, start):
    """A last checkpoint of the trainer: other weights than the start's, and what they say of two responses."""
    folder = tmp_path / "global_step_7"
    model = transformers.AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        rows = [(list(range(5)), [7, 9, 11]), ([3, 2], [1, 40, 41, 42, 43])]
        rows = [{"prompt": p, "response": r, "log_probs": log_probs(model, p, r)} for p, r in rows]
    model.save_pretrained(folder / "actor" / "huggingface")
    (folder / export_gate.LOG_PROBS).write_text(json.dumps(rows))
    return folder


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_the_trained_model_passes(tmp_path, start, checkpoint, precision):
    deviation, spoken = export_gate.export(checkpoint, start, precision, "cpu", tmp_path / "out")
    assert 0 < deviation < canaries.LIMITS[precision]
    assert [row["precision"] for row in spoken] == [precision] * 2 and "experts" not in spoken[0]


def test_the_start_model_in_its_place_is_refused(start, checkpoint):
    with pytest.raises(UserError, match="row 0 of log_probs.json are .* this is not the model that was trained"):
        export_gate.check_log_probs(
            export_gate._loaded(start, "cpu"), start, checkpoint / export_gate.LOG_PROBS, "bf16"
        )


def test_one_wrong_response_is_named(tmp_path, start, checkpoint):
    rows = json.loads((checkpoint / export_gate.LOG_PROBS).read_text())
    rows[1]["log_probs"][2] -= 0.001
    (checkpoint / export_gate.LOG_PROBS).write_text(json.dumps(rows))
    with pytest.raises(UserError, match="row 1 of log_probs.json are 0.0002 a token away .*0.0001 is allowed"):
        export_gate.export(checkpoint, start, "fp32", "cpu", tmp_path / "out")


def corrupt(model, name, change):
    tensors = safetensors_torch.load_file(model / "model.safetensors")
    tensors[name] = change(tensors[name].clone())
    safetensors_torch.save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})


def test_one_wrong_number_is_named(tmp_path, start, checkpoint):
    """Too small for any log-probability to tell: the last bit of one weight."""
    export_gate.export(checkpoint, start, "fp16", "cpu", tmp_path / "out")
    name = "model.layers.1.mlp.up_proj.weight"
    bits = lambda tensor: (tensor.view(torch.int16) ^ torch.eye(*tensor.shape, dtype=torch.int16)).view(torch.float16)
    corrupt(tmp_path / "out", name, bits)
    with pytest.raises(UserError, match=f"tensor {name} is not the trained one"):
        export_gate.check_tensors(checkpoint / "actor" / "huggingface", tmp_path / "out")


def test_a_number_beyond_the_precision_is_named(tmp_path, start, checkpoint):
    name = "model.layers.0.self_attn.q_norm.weight"
    corrupt(checkpoint / "actor" / "huggingface", name, lambda tensor: tensor * 1e6)
    with pytest.raises(UserError, match=f"tensor {name} has numbers that torch.float16 cannot hold"):
        export_gate.export(checkpoint, start, "fp16", "cpu", tmp_path / "out")


def test_weights_under_each_others_names_are_refused(tmp_path, start, checkpoint):
    """What no comparison with the trained files can see: they are wrong in the same way."""
    trained = checkpoint / "actor" / "huggingface"
    tensors = safetensors_torch.load_file(trained / "model.safetensors")
    first, second = (f"model.layers.{layer}.mlp.up_proj.weight" for layer in (0, 1))
    tensors[first], tensors[second] = tensors[second], tensors[first]
    safetensors_torch.save_file(tensors, trained / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="row 0 of log_probs.json"):
        export_gate.export(checkpoint, start, "bf16", "cpu", tmp_path / "out")
