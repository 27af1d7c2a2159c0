"""Weights of a merge that are removed after their evaluation, and come back."""

import json
import re
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


def test_nothing_outside_its_folder_is_removed(tmp_path, monkeypatch, pair):
    """A manifest edited by hand, and a model that lies elsewhere."""
    result = merged_stage(monkeypatch, pair, tmp_path / "merged")
    text = result.path.read_text()
    (tmp_path / "x.safetensors").touch()
    result.path.write_text(re.sub(r"model/model[-\w]*.safetensors\"", 'model/../../x.safetensors"', text))
    with pytest.raises(UserError, match="names a file outside its folder"):
        keep(monkeypatch, "removed", result.path)
    result.path.write_text(text)
    result.model.rename(tmp_path / "elsewhere")
    (tmp_path / "merged/model").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="merged/model: this is a link to .*elsewhere"):
        keep(monkeypatch, "removed", result.path)
    assert (tmp_path / "x.safetensors").exists() and list((tmp_path / "elsewhere").glob("*.safetensors"))
