"""Weights of a merge that are removed after their evaluation, and come back."""

import json
import sys
from pathlib import Path

import pytest

from merge import merged_weights
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers.merge_checkpoints import merged_stage, write_json
from tests.helpers.stages import publish, tree


def keep(monkeypatch, state: str, path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["merged_weights", state, "--checkpoint", str(path)])
    merged_weights.main()


def test_removed_weights_leave_the_results_good_and_come_back_as_they_were(tmp_path, monkeypatch, pair, capsys):
    result = merged_stage(monkeypatch, pair, tmp_path / "merged")
    text, files = result.path.read_text(), {path.name: path.read_bytes() for path in result.model.iterdir()}
    date = result.path.stat().st_mtime_ns
    keep(monkeypatch, "removed", result.path)
    again = manifest.read(result.path)  # the report reads it so
    assert again.content == result.content
    assert not list((tmp_path / "merged/model").glob("*.safetensors"))
    assert (tmp_path / "merged/model/tokenizer.json").is_file()
    with pytest.raises(UserError, match=r"removed after their evaluation.*python -m merge.merged_weights present"):
        _ = again.model
    record = json.loads((tmp_path / "merged/weights.json").read_text())
    assert record == {
        "removed": [n for n in result.files if n.endswith(".safetensors")],
        "bytes": result.metrics["bytes"],
    }
    keep(monkeypatch, "removed", result.path)  # killed before: the same again
    capsys.readouterr()
    keep(monkeypatch, "present", result.path)
    assert "alpha" not in json.loads((tmp_path / "merged/weights.json").read_text())
    assert "removed after their evaluation and are needed: they are merged again" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in manifest.read(result.path).model.iterdir()} == files
    assert (result.path.read_text(), result.path.stat().st_mtime_ns) == (text, date)
    keep(monkeypatch, "present", result.path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "name", ["model/../../victim.safetensors", "model/../victim.safetensors", "model/a/b.safetensors"]
)
@pytest.mark.parametrize("state", ["removed", "present"])
def test_a_manifest_that_names_another_place_removes_nothing(tmp_path, monkeypatch, pair, name, state):
    result = merged_stage(monkeypatch, pair, tmp_path / "merged")
    for path in (tmp_path / "victim.safetensors", tmp_path / "merged/victim.safetensors"):
        path.write_text("somebody's")
    values = json.loads(result.path.read_text())
    values["files"][name] = {"size": 10, "xxh3": "0"}
    write_json(result.path, values)
    before = tree(tmp_path)
    with pytest.raises(UserError, match=f"merged/checkpoint.json: its file {name} is not in model/; rm "):
        keep(monkeypatch, state, result.path)
    assert tree(tmp_path) == before


def test_a_folder_of_weights_that_is_a_link_stays(tmp_path, monkeypatch, pair):
    result = merged_stage(monkeypatch, pair, tmp_path / "merged")
    (tmp_path / "merged/model").rename(tmp_path / "elsewhere")
    (tmp_path / "merged/model").symlink_to(tmp_path / "elsewhere")
    before = tree(tmp_path)
    with pytest.raises(UserError, match="merged/model: this is a link"):
        keep(monkeypatch, "removed", result.path)
    assert tree(tmp_path) == before


def test_weights_are_not_made_again_from_other_inputs(tmp_path, monkeypatch, pair):
    result = merged_stage(monkeypatch, pair, tmp_path / "merged")
    keep(monkeypatch, "removed", result.path)
    write_json(pair[0].parent / "model/generation_config.json", {})
    publish(pair[0].parent)
    with pytest.raises(
        UserError, match=r"base/checkpoint.json: it has changed since .*merged/checkpoint.json was merged"
    ):
        keep(monkeypatch, "present", result.path)
    assert not list((tmp_path / "merged/model").glob("*.safetensors"))


def test_only_merged_weights_are_removed(tmp_path, monkeypatch, pair):
    before = tree(tmp_path)
    keep(monkeypatch, "present", pair[0])
    with pytest.raises(UserError, match="only weights of a merge can be removed"):
        keep(monkeypatch, "removed", pair[0])
    assert tree(tmp_path) == before


def test_a_weight_file_that_is_missing_by_accident_is_still_an_error(tmp_path, monkeypatch, pair):
    result = merged_stage(monkeypatch, pair, tmp_path / "merged")
    keep(monkeypatch, "removed", result.path)
    keep(monkeypatch, "present", result.path)
    next(result.model.glob("*.safetensors")).unlink()
    with pytest.raises(UserError, match="is gone"):
        manifest.read(result.path)
