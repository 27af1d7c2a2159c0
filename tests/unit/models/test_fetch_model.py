"""Models from local folders and from the hub's cache layout, without a network."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from polaris.models import fetch_model
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers.fetching import COMMIT, hub_repository, run, run_offline

INDEX = fetch_model.INDEX


def write_model(folder: Path, shards: int = 2) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "qwen3"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "modeling_own.py").write_text("raise SystemExit('never executed')")
    names = [f"model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    for i, name in enumerate(names):
        save_file({f"layer.{i}.weight": np.full((4, 4), i, np.float32)}, folder / name)
    weight_map = {f"layer.{i}.weight": name for i, name in enumerate(names)}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    return folder


def test_a_local_model_is_linked_and_complete(tmp_path, monkeypatch):
    source = write_model(tmp_path / "source")
    (source / "left_over.safetensors").write_bytes(b"not in the index")
    done = run(monkeypatch, fetch_model, {"path": str(source)}, tmp_path / "run/m/checkpoint.json")
    names = sorted(path.name for path in done.model.iterdir())
    assert names == sorted(["config.json", "tokenizer.json", INDEX, *(p.name for p in source.glob("model-*"))])
    assert not any(path.is_symlink() for path in done.model.iterdir())
    shard = "model-00001-of-00002.safetensors"
    assert os.path.samefile(source / shard, done.model / shard)


def test_links_of_a_cache_become_files(tmp_path, monkeypatch):
    blobs = write_model(tmp_path / "blobs")
    source = tmp_path / "snapshot"
    source.mkdir()
    for path in blobs.iterdir():
        (source / path.name).symlink_to(path)
    done = run(monkeypatch, fetch_model, {"path": str(source)}, tmp_path / "run/m/checkpoint.json")
    assert all(path.is_file() and not path.is_symlink() for path in done.model.iterdir())


def test_across_file_systems_it_is_a_copy(tmp_path):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    source = other / f"polaris-test-{os.getpid()}"
    try:
        source.write_text("x")
        fetch_model.take(source, tmp_path / "taken")
        assert (tmp_path / "taken").read_text() == "x"
    finally:
        source.unlink()


def test_a_model_from_the_hubs_cache(tmp_path):
    write_model(hub_repository(tmp_path / "hub", "model", "org/name"))
    out = tmp_path / "run/m/checkpoint.json"
    done = run_offline(fetch_model, {"hub": "org/name", "revision": COMMIT}, out, tmp_path / "hub")
    assert done.returncode == 0, done.stderr
    assert (manifest.read(out).model / INDEX).is_file()

    other = COMMIT[::-1]
    missing = run_offline(fetch_model, {"hub": "org/name", "revision": other}, out, tmp_path / "hub")
    assert missing.returncode == 1 and "Traceback" not in missing.stderr
    assert f"org/name: revision {other} is not in the cache" in missing.stderr


def cut(folder: Path) -> None:
    path = folder / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


def rename_tensor(folder: Path) -> None:
    save_file({"other": np.zeros((4, 4), np.float32)}, folder / "model-00002-of-00002.safetensors")


def only_pickled(folder: Path) -> None:
    for path in [*folder.glob("*.safetensors"), folder / INDEX]:
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80")


def escape(folder: Path) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "config.json: this file is missing"),
        (lambda f: (f / "config.json").write_text("{"), "config.json: this is not JSON"),
        (lambda f: (f / "tokenizer.json").unlink(), "there is no tokenizer in it"),
        (lambda f: (f / "model-00002-of-00002.safetensors").unlink(), "it names model-00002-of-00002.safetensors"),
        (cut, "model-00002-of-00002.safetensors: its header describes"),
        (rename_tensor, "its tensors are not those that model.safetensors.index.json says"),
        (lambda f: (f / INDEX).unlink(), "there are 2 safetensors files but no"),
        (only_pickled, r"no safetensors in it \(only pytorch_model.bin\); pickled weights are refused"),
        (escape, "it names ../other.safetensors"),
    ],
)
def test_an_incomplete_model_is_refused(tmp_path, damage, message):
    folder = write_model(tmp_path / "m")
    damage(folder)
    with pytest.raises(UserError, match=message):
        fetch_model.check_model(folder)


def test_an_unpinned_revision_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"revision: org/name is not pinned .* run `polaris pin <config>`"):
        run(monkeypatch, fetch_model, {"hub": "org/name", "revision": "unpinned"}, tmp_path / "run/m/checkpoint.json")
