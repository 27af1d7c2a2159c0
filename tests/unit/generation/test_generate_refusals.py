"""What the verb refuses before an engine starts."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from polaris.generation import generate
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS, read_rows, write_rows
from tests.helpers.generation_run import SETTINGS, arguments, broken_model, changed_model, make_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def refused(monkeypatch, tmp_path, inputs, settings, sets=("chain", "digits")) -> str:
    argv = ["polaris.generation.generate", *arguments(inputs, settings, tmp_path / "out/data.json", sets)]
    monkeypatch.setattr("sys.argv", argv)
    monkeypatch.setitem(sys.modules, "vllm", None)  # importing vLLM would fail
    with pytest.raises(UserError) as error:
        generate.main()
    return str(error.value)


def test_sets_and_k_must_agree(monkeypatch, tmp_path, inputs):
    assert "there is no problem set digits" in refused(monkeypatch, tmp_path, inputs, SETTINGS, ("chain",))
    settings = SETTINGS | {"k": {"chain": 1}}
    assert "problem set digits" in refused(monkeypatch, tmp_path, inputs, settings)
    assert "two sets are named chain" in refused(monkeypatch, tmp_path, inputs, settings, ("chain", "chain"))


def test_a_prompt_that_leaves_no_room_is_named(monkeypatch, tmp_path, inputs):
    settings = SETTINGS | {"sampling": SETTINGS["sampling"] | {"max_tokens": 250}}
    first = read_rows(inputs["chain"].parent / "problems.parquet", PROBLEMS)[0]["id"]
    assert f"problem {first} of chain: its prompt has" in refused(monkeypatch, tmp_path, inputs, settings)


def test_more_context_than_the_model_has(monkeypatch, tmp_path, inputs):
    settings = SETTINGS | {"engine": SETTINGS["engine"] | {"max_model_len": 5000}}
    assert "engine.max_model_len: 5000 tokens" in refused(monkeypatch, tmp_path, inputs, settings)


def test_a_model_without_chat_template(monkeypatch, tmp_path, inputs):
    broken = broken_model(inputs, tmp_path)
    folder = broken["model"].parent / "model"
    (folder / "chat_template.jinja").unlink()
    record = json.loads(broken["model"].read_text())
    del record["files"]["model/chat_template.jinja"]
    broken["model"].write_text(json.dumps(record))
    assert "no chat template" in refused(monkeypatch, tmp_path, broken, SETTINGS)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_mxfp4_weights_in_another_precision_than_bfloat16(monkeypatch, tmp_path, inputs, dtype):
    """As gpt-oss is published."""
    given = changed_model(
        inputs, tmp_path, "config.json", lambda old: {"quantization_config": {"quant_method": "mxfp4"}}
    )
    said = refused(monkeypatch, tmp_path, given, SETTINGS | {"engine": SETTINGS["engine"] | {"dtype": dtype}})
    assert f"engine.dtype: {dtype}, but the weights of" in said and "in bfloat16 only" in said


def test_a_model_without_config(monkeypatch, tmp_path, inputs):
    broken = broken_model(inputs, tmp_path)
    (broken["model"].parent / "model/config.json").unlink()
    assert "config.json is gone" in refused(monkeypatch, tmp_path, broken, SETTINGS)


def test_repeated_ids(monkeypatch, tmp_path, inputs):
    shutil.copytree(inputs["chain"].parent, tmp_path / "chain")
    path = tmp_path / "chain/problems.parquet"
    rows = read_rows(path, PROBLEMS)
    write_rows(path, [rows[0], *rows], PROBLEMS)
    record = json.loads((tmp_path / "chain/data.json").read_text())
    record["files"]["problems.parquet"] = {"size": path.stat().st_size, "xxh3": manifest.file_digest(path)}
    (tmp_path / "chain/data.json").write_text(json.dumps(record))
    sets = inputs | {"chain": tmp_path / "chain/data.json"}
    assert "problem ids occur more than once" in refused(monkeypatch, tmp_path, sets, SETTINGS)
