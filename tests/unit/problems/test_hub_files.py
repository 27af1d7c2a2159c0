"""A pinned data set reads its own files: what its README.md or a link names elsewhere is refused."""

import json
import os
import subprocess
import sys

import pytest

from polaris.problems import hub_files
from polaris.problems.problem_layouts import COLUMNS, read_layout
from polaris.problems.settings import HubProblems
from polaris.stage.code import ROOT
from polaris.stage.data_files import data_rows
from polaris.stage.errors import UserError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """The folder of one revision in a hub's cache, with two splits."""
    folder = tmp_path / "hub/datasets--org--name/snapshots" / COMMIT
    (folder / "data").mkdir(parents=True)
    for split in ("train", "test"):
        (folder / f"data/{split}.jsonl").write_text('{"problem": "P", "answer": "1"}\n')
    monkeypatch.setattr(hub_files, "snapshot", lambda *_: folder)
    monkeypatch.chdir(folder)
    return folder


def split_files(tmp_path, **values):
    values = {"config": None, "split": "test", "files": None} | values
    known = {"gold": "every", "count": None, "date": None, "max_rows": None}
    settings = HubProblems(hub="org/name", revision=COMMIT, **known, **values)
    return hub_files.split_files(settings, tmp_path / "cache")


def readme(folder, data_files, **more):
    configs = [{"config_name": "default", "data_files": data_files} | more]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n# A data set\n")


def test_the_files_of_a_split(snapshot, tmp_path):
    assert split_files(tmp_path) == [snapshot / "data/test.jsonl"]
    readme(snapshot, [{"split": "test", "path": ["data/t*.jsonl"]}])
    assert split_files(tmp_path) == [snapshot / "data/test.jsonl", snapshot / "data/train.jsonl"]
    assert split_files(tmp_path, files=["data/train.jsonl"]) == [snapshot / "data/train.jsonl"]


@pytest.mark.parametrize("name", ["{secret}", "../../../secret.jsonl", "data/../../../../secret.jsonl",
                                  "~/secret.jsonl", "http://127.0.0.1:9/x.jsonl", "file://{secret}", "hf://datasets/org/other/x.jsonl",
                                  "zip://x.jsonl::{secret}", "..\\secret.jsonl", ""])  # fmt: skip
@pytest.mark.parametrize("shape", ["text", "list", "split", "folder", "files"])
def test_names_that_are_not_its_own(snapshot, tmp_path, name, shape):
    secret = tmp_path / "hub/datasets--org--name/secret.jsonl"
    secret.write_text('{"problem": "private", "answer": "1"}\n')
    name = name.format(secret=secret)
    shapes = {"text": name, "list": ["data/test.jsonl", name], "split": [{"split": "test", "path": [name]}]}
    if shape in shapes:
        readme(snapshot, shapes[shape])
    if shape == "folder":
        readme(snapshot, "data/test.jsonl", data_dir=name)
    with pytest.raises(UserError) as error:
        split_files(tmp_path, files=[name] if shape == "files" else None)
    assert repr(name) in str(error.value) and "which is no file of this data set; a pinned one" in str(error.value)


def test_offline_no_private_file_reaches_the_run(snapshot, tmp_path):
    """The whole stage, from a cache without a network: the library itself would read the file."""
    (tmp_path / "secret.jsonl").write_text('{"problem": "private", "answer": "1"}\n')
    readme(snapshot, [{"split": "test", "path": str(tmp_path / "secret.jsonl")}])
    settings = {"hub": "org/name", "revision": COMMIT, "config": None, "split": "test", "files": None}
    settings |= {"gold": "every", "count": None, "date": None, "max_rows": None}
    out = tmp_path / "run/some/data.json"
    command = [sys.executable, "-m", "polaris.problems.fetch_problems", "--out", str(out)]
    env = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [*command, "--settings", json.dumps(settings)],
        check=False, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **env}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1 and not out.exists() and "Traceback" not in done.stderr
    assert "secret.jsonl', which is no file of this data set" in done.stderr


@pytest.mark.parametrize("files", [None, ["data/test.jsonl"]])
def test_a_link_out_of_the_data_set(snapshot, tmp_path, files):
    (tmp_path / "secret.jsonl").write_text('{"problem": "private", "answer": "1"}\n')
    (snapshot / "data/test.jsonl").unlink()
    (snapshot / "data/test.jsonl").symlink_to(tmp_path / "secret.jsonl")
    with pytest.raises(UserError, match=r"data/test.jsonl is not a file of this data set; name its own in `files`"):
        split_files(tmp_path, files=files)


def test_a_link_into_the_caches_blobs_is_its_own(snapshot, tmp_path):
    blob = snapshot.parents[1] / "blobs/0123"
    blob.parent.mkdir()
    (snapshot / "data/test.jsonl").rename(blob)
    (snapshot / "data/test.jsonl").symlink_to("../../../blobs/0123")
    assert split_files(tmp_path) == [snapshot / "data/test.jsonl"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("configs: [", "its first lines are not YAML"),
        ("configs: " + "[" * 5000, "its first lines are not YAML"),
        ("a: &a [1, 1]\nb: &b [*a, *a]", r"an alias \(\*\) in its YAML may stand for any amount"),
        ("configs:\n- config_name: default\n  data_files: none/*.jsonl", "cannot be read at revision"),
        ("configs: 3", "cannot be read at revision"),
    ],
)
def test_a_readme_that_cannot_be_followed(snapshot, tmp_path, text, message):
    (snapshot / "README.md").write_text(f"---\n{text}\n---\n")
    with pytest.raises(UserError, match=message) as error:
        split_files(tmp_path)
    assert "\n" not in str(error.value)


def test_shards_may_have_different_columns(snapshot, tmp_path):
    (snapshot / "data/test-00000-of-00002.jsonl").write_text('{"problem": "P", "answer": "1"}\n')
    (snapshot / "data/test-00001-of-00002.jsonl").write_text('{"problem": "Q", "answer": "2", "level": 5}\n')
    (snapshot / "data/test.jsonl").unlink()
    rows = [row for file in split_files(tmp_path) for row in data_rows(file, COLUMNS)]
    assert [problem["answers"] for problem in read_layout(rows, "s", "org/name", "every")] == [["1"], ["2"]]


def test_what_is_not_there_is_said(snapshot, tmp_path):
    with pytest.raises(UserError, match="split dev cannot be read at revision .*: its splits are train, test"):
        split_files(tmp_path, split="dev")
    with pytest.raises(UserError, match="no file at revision 0123.* is named x.jsonl"):
        split_files(tmp_path, files=["x.jsonl"])
