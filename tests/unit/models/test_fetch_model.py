"""Models from local folders and from the hub's cache layout, without a network."""

import os
import shutil
from pathlib import Path

import pytest

from polaris.models import fetch_model
from polaris.models.model_files import take
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers.fetching import COMMIT, hub_repository, run, run_offline
from tests.helpers.models import INDEX

SHARD = "model-00001-of-00002.safetensors"


def fetch(monkeypatch, model, tmp_path):
    return run(monkeypatch, fetch_model, {"path": str(model)}, tmp_path / "run/m/checkpoint.json")


def test_a_local_model_is_linked_and_complete(model, tmp_path, monkeypatch):
    (model / "left_over.safetensors").write_bytes(b"not in the index")
    done = fetch(monkeypatch, model, tmp_path)
    names = {path.name for path in done.model.iterdir()}
    assert names == {path.name for path in model.iterdir()} - {"left_over.safetensors", "modeling_own.py"}
    assert not any(path.is_symlink() for path in done.model.iterdir())
    assert os.path.samefile(model / SHARD, done.model / SHARD)


def test_nothing_of_the_source_is_changed(model, tmp_path, monkeypatch):
    for path in model.iterdir():
        path.chmod(0o600)
        os.utime(path, ns=(1, 10**18))
    before = {path: (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in model.iterdir()}
    done = fetch(monkeypatch, model, tmp_path)
    assert before == {p: (p.stat().st_mode, p.stat().st_mtime_ns, p.read_bytes()) for p in model.iterdir()}
    assert done.file(f"model/{SHARD}").stat().st_mode & 0o777 == 0o600, "its other name is the user's"


def test_a_byte_order_mark_is_left_out(model, tmp_path, monkeypatch):
    config = model / "config.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    done = fetch(monkeypatch, model, tmp_path)
    assert (done.model / "config.json").read_bytes() == config.read_bytes()[3:]


def snapshot(whole: Path, cache: Path) -> Path:
    """The model in the hub's cache: a snapshot's names are links to the blobs beside it."""
    folder = hub_repository(cache, "model", "org/name")
    blobs = folder.parent.parent / "blobs"
    for made in (folder, blobs):
        made.mkdir(parents=True)
    for path in whole.iterdir():
        shutil.copy(path, blobs / f"blob of {path.name}")
        (folder / path.name).symlink_to(f"../../blobs/blob of {path.name}")
    return folder


def test_links_of_a_cache_become_files(whole, tmp_path, monkeypatch):
    done = fetch(monkeypatch, snapshot(whole, tmp_path / "hub"), tmp_path)
    assert all(path.is_file() and not path.is_symlink() for path in done.model.iterdir())


@pytest.mark.parametrize("name", ["config.json", SHARD, "LICENSE", "left_over.safetensors"])
@pytest.mark.parametrize("cached", [False, True])
def test_a_link_out_of_the_folder_is_not_followed(whole, model, tmp_path, monkeypatch, name, cached):
    folder = snapshot(whole, tmp_path / "hub") if cached else model
    private = tmp_path / "private"
    shutil.copy(whole / name if (whole / name).exists() else whole / "config.json", private)
    private.chmod(0o600)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(private)
    with pytest.raises(UserError, match=f"{name}: it is a link to {private}, outside of .* are not followed"):
        fetch(monkeypatch, folder, tmp_path)
    assert private.stat().st_mode & 0o777 == 0o600 and private.stat().st_nlink == 1
    assert not (tmp_path / "run/m/model").exists()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", SHARD, "LICENSE"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "this is no regular file"),
        (Path.mkdir, "this is no regular file"),
        (device, "it is a link to /dev/zero, outside of"),
        (loop, "it cannot be read .Too many levels"),
    ],
)
def test_what_is_no_file_is_refused_at_once(model, name, make, message):
    (model / name).unlink(missing_ok=True)
    make(model / name)
    with pytest.raises(UserError, match=f"{name}: {message}"):
        fetch_model.check_model(model)


def test_across_file_systems_it_is_a_copy(tmp_path):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    source = other / f"polaris-test-{os.getpid()}"
    try:
        source.write_text("x")
        take(source, tmp_path / "taken")
        assert (tmp_path / "taken").read_text() == "x"
    finally:
        source.unlink()


@pytest.mark.slow
def test_a_model_from_the_hubs_cache(whole, tmp_path):
    snapshot(whole, tmp_path / "hub")
    out = tmp_path / "run/m/checkpoint.json"
    done = run_offline(fetch_model, {"hub": "org/name", "revision": COMMIT}, out, tmp_path / "hub")
    assert done.returncode == 0, done.stderr
    assert (manifest.read(out).model / INDEX).is_file()

    other = COMMIT[::-1]
    missing = run_offline(fetch_model, {"hub": "org/name", "revision": other}, out, tmp_path / "hub")
    assert missing.returncode == 1 and "Traceback" not in missing.stderr
    assert f"org/name: revision {other} is not in the cache" in missing.stderr


def test_an_unpinned_revision_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"revision: org/name is not pinned .* run `polaris pin <config>`"):
        run(monkeypatch, fetch_model, {"hub": "org/name", "revision": "unpinned"}, tmp_path / "run/m/checkpoint.json")
