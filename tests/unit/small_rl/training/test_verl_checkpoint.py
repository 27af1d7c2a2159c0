"""From verl's checkpoint folder to a Hugging Face model: the right step, tensors, precision and companions."""

import json

import pytest

from polaris.models.model_context import with_context
from small_rl.training import verl_checkpoint

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")


@pytest.fixture
def start(tmp_path):
    folder = tmp_path / "start"
    folder.mkdir()
    tensors = {"a.weight": torch.zeros(2, 3, dtype=torch.bfloat16), "b.weight": torch.zeros(4)}
    safetensors_torch.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text('{"hidden_size": 3, "torch_dtype": "bfloat16"}')
    (folder / "generation_config.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


def trained(tmp_path, tensors_by_file):
    folder = tmp_path / "huggingface"
    folder.mkdir()
    for name, tensors in tensors_by_file.items():
        safetensors_torch.save_file(tensors, folder / name)
    if len(tensors_by_file) > 1:  # as save_pretrained does
        weight_map = {tensor: name for name, tensors in tensors_by_file.items() for tensor in tensors}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "config.json").write_text('{"hidden_size": 99}')
    return folder


@pytest.mark.parametrize("precision, dtype", [("fp32", "float32"), ("fp16", "float16"), ("bf16", "bfloat16")])
def test_export_casts_to_the_training_precision(tmp_path, start, precision, dtype):
    values = {"a.weight": torch.full((2, 3), 1 / 3), "b.weight": torch.arange(4.0)}
    verl_checkpoint.export(trained(tmp_path, {"model.safetensors": values}), start, precision, tmp_path / "out")
    written = safetensors_torch.load_file(tmp_path / "out" / "model.safetensors")
    expected = getattr(torch, dtype)
    assert {name: t.dtype for name, t in written.items()} == dict.fromkeys(values, expected)
    assert all(torch.equal(written[name], values[name].to(expected)) for name in values)
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"hidden_size": 3, "dtype": dtype}
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == "{{ messages }}"
    assert not (tmp_path / "out" / "model.safetensors.index.json").exists()


def test_export_keeps_the_context_that_the_stage_was_trained_with(tmp_path, start):
    copy = with_context(start, 49152, None, tmp_path / "copy")
    values = {"a.weight": torch.ones(2, 3), "b.weight": torch.ones(4)}
    verl_checkpoint.export(trained(tmp_path, {"model.safetensors": values}), copy, "fp32", tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config == {"hidden_size": 3, "max_position_embeddings": 49152, "dtype": "float32"}
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_symlink()]


def test_export_keeps_shards(tmp_path, start):
    shards = {
        "model-00001.safetensors": {"a.weight": torch.ones(2, 3)},
        "model-00002.safetensors": {"b.weight": torch.ones(4)},
    }
    verl_checkpoint.export(trained(tmp_path, shards), start, "fp16", tmp_path / "out")
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["weight_map"] == {"a.weight": "model-00001.safetensors", "b.weight": "model-00002.safetensors"}
    assert index["metadata"]["total_size"] == 2 * (6 + 4)


def test_export_refuses_other_tensors(tmp_path, start):
    folder = trained(tmp_path, {"model.safetensors": {"a.weight": torch.ones(2, 3)}})
    with pytest.raises(RuntimeError, match="b.weight"):
        verl_checkpoint.export(folder, start, "fp32", tmp_path / "out")


def test_last_step(tmp_path):
    assert verl_checkpoint.last_step(tmp_path) == 0
    tracker = tmp_path / verl_checkpoint.TRACKER
    tracker.write_text("20")
    (tmp_path / "global_step_20").mkdir()
    assert verl_checkpoint.last_step(tmp_path) == 20


@pytest.mark.parametrize("left", ["", "30"])
def test_a_tracker_that_points_nowhere_is_removed(tmp_path, left):
    tracker = tmp_path / verl_checkpoint.TRACKER
    tracker.write_text(left)
    assert verl_checkpoint.last_step(tmp_path) == 0
    assert not tracker.exists()


def test_a_curve_goes_on_without_gaps_or_doubles(tmp_path):
    curve = tmp_path / "metrics.jsonl"
    verl_checkpoint.keep_curve(curve, 2)
    assert curve.read_text() == ""
    curve.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    verl_checkpoint.keep_curve(curve, 2)
    assert curve.read_text() == '{"step": 1}\n{"step": 2}\n'
