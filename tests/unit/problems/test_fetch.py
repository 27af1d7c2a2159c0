"""Models and problems from local files and from the hub's cache layout, without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from polaris.models import fetch_model
from polaris.problems import fetch_problems
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import read_problems

COMMIT = "0123456789abcdef0123456789abcdef01234567"
INDEX = fetch_model.INDEX


def run(monkeypatch, module, settings, out: Path) -> manifest.Manifest:
    """The verb's main in this process, as its command line would call it."""
    monkeypatch.setattr("sys.argv", [module.__name__, "--settings", json.dumps(settings), "--out", str(out)])
    module.main()
    return manifest.read(out)


def run_offline(module, settings, out: Path, cache: Path) -> subprocess.CompletedProcess:
    """The verb as a process of its own, with this hub cache and no network."""
    command = [sys.executable, "-m", module.__name__, "--settings", json.dumps(settings), "--out", str(out)]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache), "HF_HOME": str(cache.parent / "home")}
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=300)


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


def hub_repository(cache: Path, kind: str, repo: str) -> Path:
    """The folder of one revision, laid out as huggingface_hub lays out its cache."""
    root = cache / f"{kind}s--{repo.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs/main").write_text(COMMIT)
    return root / "snapshots" / COMMIT


# --- models -----------------------------------------------------------------------------------------------------
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


# --- problems ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
def test_problems_from_a_file(tmp_path, monkeypatch, suffix):
    rows = [{"problem": f"P{i}", "answer": str(i)} for i in range(5)]
    file = tmp_path / f"x.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        file.write_text("\n".join(map(json.dumps, rows)) if suffix == "jsonl" else json.dumps(rows))
    done = run(
        monkeypatch,
        fetch_problems,
        {"file": str(file), "gold": "every", "count": None, "published": None, "max_rows": 3},
        tmp_path / "run/some/data.json",
    )
    problems = read_problems(done.file("problems.parquet"))
    assert [(p["id"], p["answers"], p["source"]) for p in problems.values()] == [
        (str(i), [str(i)], "some") for i in range(3)
    ]


@pytest.mark.parametrize(
    ("count", "limit", "expected"), [(5, None, None), (5, 3, None), (9, 5, None), (4, None, 4), (6, None, 6), (9, 7, 7)]
)
def test_a_set_of_another_size_is_not_the_one_that_is_meant(tmp_path, monkeypatch, count, limit, expected):
    (tmp_path / "x.jsonl").write_text("".join(json.dumps({"problem": f"P{i}", "answer": i}) + "\n" for i in range(5)))
    settings = {
        "file": str(tmp_path / "x.jsonl"),
        "gold": "every",
        "count": count,
        "published": "2025-02",
        "max_rows": limit,
    }
    if expected is None:
        run(monkeypatch, fetch_problems, settings, tmp_path / "run/s/data.json")
        return
    with pytest.raises(UserError, match=rf"x.jsonl: 5 problems are read, {expected} were expected \(count: {count}\)"):
        run(monkeypatch, fetch_problems, settings, tmp_path / "run/s/data.json")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", '{"problem": "P", "answer": 1}\n{"problem":', "line 2 is not JSON"),
        ("x.jsonl", "[1]", "line 1 is a list, not a JSON object"),
        ("x.json", "{}", "no known layout of problems: none"),
        ("x.json", "3", "line 1 is a number, not a JSON object"),
        ("x.parquet", "PAR1", "not a readable parquet file"),
        ("x.csv", "", "there is no problem in it"),
        ("x.txt", "", "rows are read from .parquet, .jsonl, .json or .csv"),
        ("x.jsonl", "", "there is no problem in it"),
    ],
)
def test_a_bad_file_is_named(tmp_path, monkeypatch, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message) as error:
        run(
            monkeypatch,
            fetch_problems,
            {"file": str(tmp_path / name), "gold": "every", "count": None, "published": None, "max_rows": None},
            tmp_path / "run/s/data.json",
        )
    assert name in str(error.value)


def test_problems_from_the_hubs_cache(tmp_path):
    folder = hub_repository(tmp_path / "hub", "dataset", "org/name")
    (folder / "data").mkdir(parents=True)
    rows = [{"problem": f"P{i}", "answer": i, "problem_idx": i + 1} for i in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data/test-00000-of-00001.parquet")
    (folder / "name.py").write_text("raise SystemExit('never executed')")
    settings = {"hub": "org/name", "revision": COMMIT, "config": None, "split": "test", "max_rows": 4}
    settings |= {"files": None, "gold": "every", "count": None, "published": None}
    out = tmp_path / "run/some/data.json"
    done = run_offline(fetch_problems, settings, out, tmp_path / "hub")
    assert done.returncode == 0, done.stderr
    assert list(read_problems(manifest.read(out).file("problems.parquet"))) == ["1", "2", "3", "4"]

    wrong = run_offline(fetch_problems, settings | {"split": "train"}, out, tmp_path / "hub")
    assert wrong.returncode == 1 and "org/name: config None, split train cannot be read" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_one_of_several_files_of_a_data_set(tmp_path):
    """AReaL-boba's repository holds two data sets with different columns."""
    folder = hub_repository(tmp_path / "hub", "dataset", "org/name")
    folder.mkdir(parents=True)
    rows = [{"prompt": f"P{i}", "solutions": [f"\\boxed{{{i}}}"], "query_id": f"q{i}"} for i in range(3)]
    (folder / "a-106k.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "b-sft.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": "Q"}], "answer": 3}))
    settings = {
        "hub": "org/name",
        "revision": COMMIT,
        "config": None,
        "split": "train",
        "gold": "some",
        "count": None,
        "published": None,
        "max_rows": None,
    }
    out = tmp_path / "run/some/data.json"
    done = run_offline(fetch_problems, settings | {"files": ["a-106k.jsonl"]}, out, tmp_path / "hub")
    assert done.returncode == 0, done.stderr
    problems = read_problems(manifest.read(out).file("problems.parquet"))
    assert [(p["id"], p["problem"], p["answers"]) for p in problems.values()] == [
        (f"q{i}", f"P{i}", [str(i)]) for i in range(3)
    ]
    both = run_offline(fetch_problems, settings | {"files": None}, out, tmp_path / "hub")
    assert both.returncode == 1 and "b-sft.jsonl: line 1 has no problem text" in both.stderr


@pytest.mark.parametrize("module", [fetch_model, fetch_problems])
def test_an_unpinned_revision_is_refused(tmp_path, monkeypatch, module):
    settings = {"hub": "org/name", "revision": "unpinned"}
    if module is fetch_problems:
        settings |= {
            "config": None,
            "split": "test",
            "max_rows": None,
            "files": None,
            "gold": "every",
            "count": None,
            "published": None,
        }
    with pytest.raises(UserError, match=r"revision: org/name is not pinned .* run `polaris pin <config>`"):
        run(monkeypatch, module, settings, tmp_path / "run/s/data.json")
