"""Places as people have them: links, FIFOs, folders of others. One sentence, and nothing outside the stage changes."""

import json
import os
import shutil
from pathlib import Path

import pytest

from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.lock import locked_by, take_lock
from polaris.stage.stage import Stage, run_verb
from tests.helpers.tables import Given


@pytest.fixture
def theirs(tmp_path) -> Path:
    """A folder of somebody else: every test ends with the look that nothing in it has changed."""
    folder = tmp_path / "theirs"
    (folder / "deep").mkdir(parents=True)
    for name in ("note.txt", "deep/note.txt", "data.json"):
        (folder / name).write_text("mine")
        (folder / name).chmod(0o600)
        os.utime(folder / name, (1, 1))
    before = look(folder)
    yield folder
    assert look(folder) == before


def look(folder: Path) -> dict[str, tuple]:
    """Mode, date and bytes of every file in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mode, path.stat().st_mtime, path.read_bytes()) for path in paths}


def stage(folder: Path) -> Stage:
    return Stage("polaris.stage.manifest", Given(), {}, folder / "data.json", "c")


def publish(folder: Path) -> None:
    with stage(folder) as running:
        (running.partial / "model").mkdir()
        (running.partial / "model/a.txt").write_text("x")
        (running.log / "engine.log").write_text("said")
        running.publish()


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "kept.txt").write_text("x")


@pytest.mark.parametrize("place", ["state", "state/lock", "log", "log/engine.log", "new.partial", "model"])
@pytest.mark.parametrize("target", ["note.txt", ".", "missing"])
def test_a_link_is_refused_and_what_it_names_stays(tmp_path, theirs, place, target):
    path = tmp_path / "s" / place
    path.parent.mkdir(parents=True)
    path.symlink_to(theirs / target)
    with pytest.raises(UserError, match=rf"{path}: this is a link .*; remove it and run it again"):
        publish(tmp_path / "s")
    assert path.is_symlink() and not (theirs / "missing").exists()


@pytest.mark.parametrize("place", ["data.json", "data.json.partial"])
def test_a_manifest_that_is_a_link_is_refused(tmp_path, theirs, place):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / place).symlink_to(theirs / "data.json")
    with pytest.raises(UserError, match=rf"{place}: this is a link"):
        publish(tmp_path / "s")


@pytest.mark.parametrize("place", ["state", "state/lock", "log", "new.partial", "data.json", "data.json.partial"])
def test_a_fifo_is_refused_and_holds_nobody(tmp_path, place):
    path = tmp_path / "s" / place
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(UserError, match=f"{path}: this is a FIFO"):
        publish(tmp_path / "s")


@pytest.mark.parametrize("place", ["state/lock", "data.json", "data.json.partial"])
def test_a_directory_in_a_files_place_is_refused(tmp_path, place):
    path = tmp_path / "s" / place
    path.parent.mkdir(parents=True)
    make_directory(path)
    with pytest.raises(UserError, match=f"{path}: this is a directory"):
        publish(tmp_path / "s")
    assert (path / "kept.txt").exists()


@pytest.mark.parametrize("place", ["state", "log", "new.partial"])
def test_a_file_in_a_folders_place_is_refused(tmp_path, place):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / place).write_text("x")
    with pytest.raises(UserError, match=f"{tmp_path / 's' / place}: this is a file"):
        publish(tmp_path / "s")


def test_a_lock_that_is_a_hard_link_to_somebodys_file_is_not_emptied(tmp_path, theirs):
    (tmp_path / "s/state").mkdir(parents=True)
    os.link(theirs / "note.txt", tmp_path / "s/state/lock")
    with pytest.raises(UserError, match="lock: this file has another name elsewhere"):
        publish(tmp_path / "s")


def test_a_look_at_a_lock_reads_nothing_but_a_lock(tmp_path, theirs):
    (tmp_path / "s/state").mkdir(parents=True)
    os.mkfifo(tmp_path / "s/state/lock")
    with pytest.raises(UserError, match="lock: this is a FIFO"):
        locked_by(tmp_path / "s")
    (tmp_path / "s/state/lock").unlink()
    (tmp_path / "s/state/lock").write_bytes(b"host \xff")
    with take_lock(tmp_path / "s"):
        assert "pid" in locked_by(tmp_path / "s")


def test_a_published_file_with_another_name_keeps_its_mode(tmp_path, theirs):
    """fetch_model's hard links: the weights of a person are theirs."""
    with stage(tmp_path / "s") as running:
        os.link(theirs / "note.txt", running.partial / "a.txt")
        (running.partial / "own.txt").write_text("x")
        (running.partial / "own.txt").chmod(0o600)
        running.publish()
    assert (tmp_path / "s/own.txt").stat().st_mode & 0o777 == 0o644
    assert manifest.read(tmp_path / "s/data.json").files["a.txt"]["size"] == 4


@pytest.mark.parametrize("name", ["model", "model/deep.txt"])
def test_a_link_is_never_published(tmp_path, theirs, name):
    with pytest.raises(UserError, match=f"{name}: this is a link"), stage(tmp_path / "s") as running:
        (running.partial / name).parent.mkdir(exist_ok=True)
        (running.partial / name).symlink_to(theirs / "note.txt")
        running.publish()
    assert not (tmp_path / "s/data.json").exists()


def test_an_engines_links_in_the_log_are_left_out(tmp_path, theirs):
    with stage(tmp_path / "s") as running:
        (running.partial / "a.txt").write_text("x")
        (running.log / "latest.log").symlink_to(theirs / "note.txt")
        os.mkfifo(running.log / "pipe")
        running.publish()
    assert set(manifest.read(tmp_path / "s/data.json").files) == {"a.txt"}


def test_a_link_that_came_while_the_stage_ran_is_replaced_not_followed(tmp_path, theirs):
    with stage(tmp_path / "s") as running:
        (running.partial / "model").mkdir()
        (running.partial / "model/a.txt").write_text("x")
        (tmp_path / "s/model").symlink_to(theirs)
        running.publish()
    assert (tmp_path / "s/model/a.txt").read_text() == "x" and not (tmp_path / "s/model").is_symlink()


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_vanishes_is_one_sentence(tmp_path, again):
    with (
        pytest.raises(UserError, match="/s: it was removed or replaced while it ran"),
        stage(tmp_path / "s") as running,
    ):
        (running.partial / "a.txt").write_text("x")
        shutil.rmtree(tmp_path / "s")
        if again:
            (tmp_path / "s/new.partial").mkdir(parents=True)
            (tmp_path / "s/new.partial/a.txt").write_text("x")
        running.publish()
    assert not (tmp_path / "s/data.json").exists()


@pytest.fixture
def as_nobody():
    """Root gives up its rights for the file system until the end of a test."""
    if os.geteuid() != 0:
        pytest.skip("only root may act for another user")
    yield lambda: os.seteuid(65534)
    os.seteuid(0)


@pytest.mark.parametrize("theirs", ["s", "s/state/lock"])
def test_files_of_another_user_are_named_with_their_owner(tmp_path, capsys, as_nobody, theirs):
    """Everything else is nobody's; what is root's cannot be written by nobody."""
    publish(tmp_path / "s")
    if theirs == "s":
        shutil.rmtree(tmp_path / "s/state")
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 65534, 65534)
    for path in tmp_path.parents:  # pytest's own, down from the folder that anybody may enter
        if path.stat().st_mode & 0o005 != 0o005:
            path.chmod(0o755)
    os.chown(tmp_path / theirs, 0, 0)
    as_nobody()
    with pytest.raises(SystemExit):
        run_verb(lambda: publish(tmp_path / "s"))
    said = capsys.readouterr().err
    assert f"error: {tmp_path / theirs}" in said and "Permission denied; it belongs to root: ask for access" in said


# --- manifests ----------------------------------------------------------------------------------------------------
def written(path: Path, **changes) -> Path:
    """A manifest with some values changed by hand."""
    publish(path)
    values = json.loads((path / "data.json").read_text())
    (path / "data.json").write_text(json.dumps(values | changes))
    return path / "data.json"


@pytest.mark.parametrize("name", ["model/../../x", "/etc/passwd", "../x", "", ".", "model/..", "a\0b"])
def test_a_manifest_names_files_of_its_own_folder_alone(tmp_path, name):
    path = written(tmp_path / "s", files={name: {"size": 1, "xxh3": "0"}})
    with pytest.raises(UserError, match="data.json: this is not the manifest of a stage .*outside its folder"):
        manifest.load(path)


@pytest.mark.parametrize(
    "changes",
    [{"files": ["a"]}, {"files": {"a": 3}}, {"files": {"a": {"size": 1}}}, {"settings": []}, {"inputs": {"a": 1}},
     {"metrics": None}, {"seconds": "x"}, {"more": 1}, {"steps": {"planned": "many"}}],
)  # fmt: skip
def test_a_manifest_of_another_form_is_refused(tmp_path, changes):
    with pytest.raises(UserError, match="data.json: this is not the manifest of a stage"):
        manifest.load(written(tmp_path / "s", **changes))


@pytest.mark.parametrize("data", [b"\xff{}", b"[1]", b"null", b"[" * 100_000, b'{"stage":', b"\0"])
def test_bytes_that_are_no_manifest_are_refused(tmp_path, data):
    (tmp_path / "data.json").write_bytes(data)
    with pytest.raises(UserError, match="data.json: this is not the manifest of a stage"):
        manifest.load(tmp_path / "data.json")


def test_places_that_hold_no_manifest_are_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    for name, kind in (("fifo", "a FIFO"), ("folder", "a directory"), ("endless", "a device")):
        with pytest.raises(UserError, match=f"{name}.json: this is {kind}"):
            manifest.load(tmp_path / f"{name}.json")


@pytest.mark.parametrize("text", ["[]", "{", '{"removed": 3}', '{"removed": ["model/../../x"]}', "\udcff"])
def test_a_record_of_removed_weights_that_is_none_is_refused(tmp_path, text):
    publish(tmp_path / "s")
    (tmp_path / "s/weights.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match="weights.json: this is not a record of removed weights"):
        manifest.read(tmp_path / "s/data.json")
