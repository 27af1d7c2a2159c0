"""A merge that is averaged while it is loaded has the written merge's tensors; a written shard of another is named."""

import json
import shutil
import sys

import pytest
import torch

from merge import stream, unwritten
from merge.alpha import of_alpha
from polaris.models.checkpoint import read_checkpoint
from polaris.models.unwritten import source_of
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers.merge_checkpoints import BASE, MERGING, load, merged_stage, near, save
from tests.helpers.stages import command, publish


def leave_unwritten(monkeypatch, pair, folder, **settings) -> manifest.Manifest:
    out = folder / "checkpoint.json"
    alpha = {} if "several" in settings else {"alpha": 0.3}
    words = command("merge.unwritten", MERGING | alpha | settings, out, base=pair[0], distilled=pair[1:])
    monkeypatch.setattr(sys, "argv", words[2:])
    unwritten.main()
    return manifest.read(out)


@pytest.mark.parametrize("dtype", [None, "float16", "float32"])
def test_the_tensors_are_those_of_a_written_merge(tmp_path, monkeypatch, pair, dtype):
    made = leave_unwritten(monkeypatch, pair, tmp_path / "unwritten", dtype=dtype)
    assert source_of(made) == "merge.unwritten"
    assert not list(made.model.glob("*.safetensors*"))
    found = dict(unwritten.weights(made.model))
    written = merged_stage(monkeypatch, pair, tmp_path / "written", dtype=dtype)
    assert source_of(written) is None
    expected = load(written.model)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensor.dtype == found[name].dtype and torch.equal(tensor, found[name]), name
    companions = {path.name for path in written.model.iterdir() if not path.name.startswith("model")}
    assert companions == {path.name for path in made.model.iterdir()} - {"unwritten.json"}


def test_another_alpha_is_another_model(tmp_path, monkeypatch, pair):
    contents = {leave_unwritten(monkeypatch, pair, tmp_path / str(a), alpha=a).content for a in (0.3, 0.4)}
    assert len(contents) == 2


def test_inputs_that_changed_are_refused(tmp_path, monkeypatch, pair):
    made = leave_unwritten(monkeypatch, pair, tmp_path / "unwritten")
    shutil.rmtree(pair[1].parent)
    save(pair[1].parent / "model", near(BASE, 3))
    publish(pair[1].parent)
    with pytest.raises(UserError, match=r"distilled/checkpoint.json: it has changed since .*unwritten/model was made"):
        list(unwritten.weights(made.model))


def test_a_flipped_bit_of_an_input_is_named(tmp_path, monkeypatch, pair):
    made = leave_unwritten(monkeypatch, pair, tmp_path / "unwritten")
    shard = min((pair[0].parent / "model").glob("*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(UserError, match=f"{shard.name}: its bytes are not those that the stage has published"):
        list(unwritten.weights(made.model))


def test_mergekit_cannot_average_while_loading(tmp_path, monkeypatch, pair):
    with pytest.raises(UserError, match="keep: none needs backend: stream"):
        leave_unwritten(monkeypatch, pair, tmp_path / "unwritten", backend="mergekit")


def test_one_shard_of_another_alpha_is_named(tmp_path, monkeypatch, pair):
    base, distilled = (read_checkpoint(path.parent / "model") for path in pair)
    mine, other = (merged_stage(monkeypatch, pair, tmp_path / str(a), alpha=a).model for a in (0.3, 0.4))
    stream.check_written(base, [distilled], {of_alpha(0.3): mine, of_alpha(0.4): other}, None)
    shard = sorted(mine.glob("*.safetensors"))[1]
    shutil.copyfile(other / shard.name, shard)
    first = next(iter(base.shards[1].tensors))
    said = f"{shard}: tensor {first} is not the average of its inputs at alpha 0.3"
    with pytest.raises(UserError, match=said.replace("+", r"\+")):
        stream.check_written(base, [distilled], {of_alpha(0.3): mine}, None)


def test_a_recipe_says_it_in_one_place(tmp_path):
    from pydantic import ValidationError

    from merge.settings import Merge

    sweep = MERGING | {"alphas": [0.3], "select_on": [], "keep": "none", "selected": None}
    assert json.loads(Merge.model_validate(sweep).model_dump_json())["keep"] == "none"
    with pytest.raises(ValidationError, match="keep: none needs backend: stream"):
        Merge.model_validate(sweep | {"backend": "mergekit"})
