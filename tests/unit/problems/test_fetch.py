"""Problems from local files and from the hub's cache layout, without a network."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polaris.problems import fetch_problems
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import read_problems
from tests.helpers.fetching import COMMIT, hub_repository, run, run_offline


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
        {"file": str(file), "gold": "every", "count": None, "date": None, "max_rows": 3},
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
        "date": "2025-02",
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
            {"file": str(tmp_path / name), "gold": "every", "count": None, "date": None, "max_rows": None},
            tmp_path / "run/s/data.json",
        )
    assert name in str(error.value)


@pytest.mark.slow
def test_problems_from_the_hubs_cache(tmp_path):
    folder = hub_repository(tmp_path / "hub", "dataset", "org/name")
    (folder / "data").mkdir(parents=True)
    rows = [{"problem": f"P{i}", "answer": i, "problem_idx": i + 1} for i in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data/test-00000-of-00001.parquet")
    (folder / "name.py").write_text("raise SystemExit('never executed')")
    settings = {"hub": "org/name", "revision": COMMIT, "config": None, "split": "test", "max_rows": 4}
    settings |= {"files": None, "gold": "every", "count": None, "date": None}
    out = tmp_path / "run/some/data.json"
    done = run_offline(fetch_problems, settings, out, tmp_path / "hub")
    assert done.returncode == 0, done.stderr
    assert list(read_problems(manifest.read(out).file("problems.parquet"))) == ["1", "2", "3", "4"]

    wrong = run_offline(fetch_problems, settings | {"split": "train"}, out, tmp_path / "hub")
    assert wrong.returncode == 1 and "org/name: config None, split train cannot be read" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.slow
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
        "date": None,
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


def test_an_unpinned_revision_is_refused(tmp_path, monkeypatch):
    settings = {
        "hub": "org/name",
        "revision": "unpinned",
        "config": None,
        "split": "test",
        "max_rows": None,
        "files": None,
        "gold": "every",
        "count": None,
        "date": None,
    }
    with pytest.raises(UserError, match=r"revision: org/name is not pinned .* run `polaris pin <config>`"):
        run(monkeypatch, fetch_problems, settings, tmp_path / "run/s/data.json")
