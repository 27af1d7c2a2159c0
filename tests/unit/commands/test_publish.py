"""A folder ready to be pushed: the published files and a card whose header the hub reads; nothing half-made, nothing
stale.
"""

import json

import pytest
import yaml

from polaris.commands import publish
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from tests.helpers.reports import make, whole_run

LAPTOP = str(ROOT / "configs/laptop.yaml")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = whole_run(tmp_path / "runs/laptop")
    make(run)
    return run


def command(model: str, *more: str) -> list[str]:
    return [model, "--configfile", LAPTOP, "--to", "out/released", "--licence", "apache-2.0", *more]


def test_a_folder_with_its_card(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    publish.main(command("core"))
    out = tmp_path / "out/released"
    assert {path.name for path in out.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    _, head, text = (out / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head) == {
        "license": "apache-2.0", "library_name": "transformers", "pipeline_tag": "text-generation",
    }  # fmt: skip
    assert "base_small → format_sft (12 steps) → core (30 steps)" in text
    assert "| chain | 2 x 4 | 37.5 [" in text and "| to format_sft |" in text and "One training" in text
    assert "| temperature | 1.0 |" in text and "Underline key results" in text
    assert str(tmp_path) not in text
    assert "nothing was uploaded" in capsys.readouterr().out
    with pytest.raises(UserError, match="it is there already"):
        publish.main(command("core"))


def test_a_merge_says_what_it_is_of(run, tmp_path):
    (tmp_path / "out").mkdir()
    publish.main(command("alpha=0.50"))
    text = (tmp_path / "out/released/README.md").read_text()
    assert (
        "The average 0.50 · base_large + (1 − 0.50) · distilled" in text and "| to base_large | to distilled |" in text
    )


def test_what_must_not_be_published(run, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="this run evaluates base_small, format_sft"):
        publish.main(command("nobody"))
    weights = run.folder / "core/model/model.safetensors"
    weights.write_text("weights x")  # as long as before
    with pytest.raises(UserError, match="model.safetensors: it is not what its stage published"):
        publish.main(command("core"))
    assert not (tmp_path / "out/released").exists()
    path = run.folder / "core/checkpoint.json"
    made = json.loads(path.read_text())
    made["files"]["model/model.safetensors"]["xxh3"] = "0"
    path.write_text(json.dumps(made))
    with pytest.raises(UserError, match="the report is of other weights"):
        publish.main(command("core"))
