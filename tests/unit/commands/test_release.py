"""What `polaris publish` copies: a model's published files and nothing else, over nothing that is there already."""

import os
from pathlib import Path

import pytest

from polaris.commands import publish
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.stage import Stage
from tests.helpers.tables import Given


def card(folder: Path) -> None:
    (folder / "README.md").write_text("# card")


@pytest.fixture
def model(tmp_path) -> Manifest:
    with Stage("polaris.stage.manifest", Given(), {}, tmp_path / "core/checkpoint.json", "c") as stage:
        (stage.partial / "model").mkdir()
        (stage.partial / "model/config.json").write_text("{}")
        (stage.partial / "model/model.safetensors").write_text("weights")
        stage.publish()
    return manifest.read(tmp_path / "core/checkpoint.json")


def test_a_users_folder_beside_the_release_stays(tmp_path, model):
    (tmp_path / "release.partial").mkdir()
    (tmp_path / "release.partial/mine").touch()
    publish.write(model, tmp_path / "release", card)
    names = {path.name for path in (tmp_path / "release").iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == {"core", "release", "release.partial"}
    assert (tmp_path / "release.partial/mine").exists()


@pytest.mark.parametrize("target", ["/dev/zero", "private", "core/log"])
@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_link_in_the_model_is_not_followed_and_nothing_half_made_stays(tmp_path, model, name, target):
    (tmp_path / "private").write_text("weights")
    (model.model / name).unlink(missing_ok=True)
    (model.model / name).symlink_to(tmp_path / target)
    with pytest.raises(UserError, match=f"{name}: not the file that its stage published"):
        publish.write(model, tmp_path / "release", card)
    assert {path.name for path in tmp_path.iterdir()} == {"core", "private"}


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere"), os.mkfifo])
def test_what_is_there_already_stays(tmp_path, model, make):
    make(tmp_path / "release")
    with pytest.raises(UserError, match="release: already exists; name another folder, or remove it"):
        publish.write(model, tmp_path / "release", card)


def test_a_place_that_is_none_is_told(tmp_path, model):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        publish.write(model, tmp_path / "nowhere/release", card)
