"""Inputs that changed on disk after their stage: the next verb refuses them, whatever it would have read of them."""

import json
from pathlib import Path

import pytest

from polaris.generation import generate
from polaris.models import make_model
from polaris.problems import clean_problems, make_problems
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.lock import locked_by
from polaris.stage.stage import Stage
from tests.helpers import tables
from tests.helpers.verb_settings import CLEAN, DENSE

PROBLEMS = {"family": "chain", "pool": "train", "count": 12, "depth": [2, 3], "error_rate": 0.0, "seed": 5}
GENERATE = {
    "k": {"chain": 1},
    "instruction": "",
    "sampling": {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "max_tokens": 8, "seed": 1},
    "engine": tables.ENGINE,
}


@pytest.fixture
def problems(tmp_path) -> Path:
    out = tmp_path / "chain/data.json"
    tables.run(make_problems.main, "--settings", json.dumps(PROBLEMS), "--out", out)
    return out


@pytest.fixture
def model(tmp_path) -> Path:
    out = tmp_path / "base/checkpoint.json"
    tables.run(make_model.main, "--settings", json.dumps(DENSE), "--out", out)
    return out


def flip(path: Path) -> None:
    """One bit, in the middle: a table's data, not its footer; a weight, not the header."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def clean(problems: Path, out: Path) -> None:
    tables.run(clean_problems.main, "--settings", json.dumps(CLEAN), "--problems", problems, "--out", out)


def ask(model: Path, problems: Path, out: Path) -> None:
    words = ["--model", model, "--problems", problems, "--out", out]
    tables.run(generate.main, "--settings", json.dumps(GENERATE), *words)


@pytest.mark.parametrize(("harm", "said"), [(flip, "has other bytes than stage chain wrote"), (cut, r"bytes, not \d+")])
def test_a_table_that_changed_is_refused_and_nothing_is_published(tmp_path, problems, harm, said):
    out = tmp_path / "clean/data.json"
    clean(problems, out)
    assert manifest.read(out).metrics["problems"] == 12, "unchanged it is taken"
    before = {path: path.read_bytes() for path in out.parent.rglob("*.*")}
    harm(problems.parent / "problems.parquet")
    with pytest.raises(UserError, match=said) as refused:
        clean(problems, out)
    assert "its file problems.parquet" in str(refused.value)
    assert f"restore it from a copy, or make it again: rm {problems} and rerun" in str(refused.value)
    assert {path: path.read_bytes() for path in out.parent.rglob("*.*")} == before, "not begun: nothing is lost either"
    with pytest.raises(UserError, match=said):
        clean(problems, tmp_path / "other/data.json")
    assert not (tmp_path / "other/data.json").exists()
    problems.unlink()
    tables.run(make_problems.main, "--settings", json.dumps(PROBLEMS), "--out", problems)
    clean(problems, out)


@pytest.mark.parametrize(("harm", "said"), [(flip, "has other bytes than stage base wrote"), (cut, r"bytes, not \d+")])
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_model_that_changed_is_refused_before_the_engine_starts(tmp_path, problems, model, name, harm, said):
    harm(model.parent / "model" / name)
    with pytest.raises(UserError, match=rf"base/checkpoint.json: its file model/{name} .*{said}|{name} {said}"):
        ask(model, problems, tmp_path / "responses/data.json")
    assert not (tmp_path / "responses/data.json").exists()
    assert not list((tmp_path / "responses").glob("log/*")), "no engine has been here"


def entered(folder: Path, **given: manifest.Manifest | list[manifest.Manifest]) -> None:
    """A stage that takes these inputs and does nothing with them."""
    with (
        pytest.raises(RuntimeError, match="without publishing"),
        Stage("x", tables.Given(), given, folder / "data.json", "c"),
    ):
        pass


def test_a_log_is_no_content(tmp_path, model):
    """Nothing is made of it: a changed letter in it must not cost a training."""
    flip(model.parent / "log/metrics.jsonl")
    entered(tmp_path / "next", start=manifest.read(model))


def test_weights_removed_on_purpose_are_not_asked_for(tmp_path, model):
    weights = model.parent / "model/model.safetensors"
    (model.parent / manifest.WEIGHTS_RECORD).write_text(
        json.dumps({"removed": ["model/model.safetensors"], "bytes": 1})
    )
    kept = weights.read_bytes()
    weights.unlink()
    entered(tmp_path / "next", checkpoints=[manifest.read(model)])
    weights.write_bytes(kept)
    flip(weights)
    with pytest.raises(UserError, match="model.safetensors has other bytes"):  # there again, and compared again
        entered(tmp_path / "next", start=manifest.read(model))


def test_weights_that_a_verb_does_not_read_are_not_read_here(tmp_path, model):
    flip(model.parent / "model/model.safetensors")
    given = {"base": manifest.read(model)}
    with (
        pytest.raises(RuntimeError, match="without publishing"),
        Stage("x", tables.Given(), given, tmp_path / "next/data.json", "c", unchecked=["base"]),
    ):
        pass
    flip(model.parent / "model/tokenizer.json")
    with (
        pytest.raises(UserError, match="model/tokenizer.json has other bytes"),
        Stage("x", tables.Given(), given, tmp_path / "next/data.json", "c", unchecked=["base"]),
    ):
        pass


def test_the_lock_is_free_after_a_refusal(tmp_path, problems):
    flip(problems.parent / "problems.parquet")
    for _ in range(2):
        with pytest.raises(UserError, match="problems.parquet has other bytes"):
            clean(problems, tmp_path / "clean/data.json")
    assert locked_by(tmp_path / "clean") is None


def test_what_was_read_is_told_while_it_is_read(tmp_path):
    (tmp_path / "large").write_bytes(bytes(5 << 20))
    read = []
    manifest.file_digest(tmp_path / "large", read.append)
    assert sum(read) == 5 << 20 and len(read) == 5
