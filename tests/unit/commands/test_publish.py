"""A folder ready to be pushed: the published files and a card whose header the hub reads; nothing half-made, nothing
stale.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from polaris.commands import publish
from polaris.commands.runs import Place
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from polaris.stage.manifest import file_digest
from polaris.stage.records import RESPONSES, write_rows
from tests.helpers import tables
from tests.helpers.report_run import Given, Run
from tests.helpers.reports import make, whole_run

LAPTOP = str(ROOT / "configs/laptop.yaml")
ASKED = {"instruction": " Think first.\n", "sampling": {"temperature": 0.75, "max_tokens": 9, "seed": 3}}


class Generated(Run):
    """Scores of responses whose stage says how the model was asked."""

    def scores(self, name, benchmarks, cut=(), distinct=None) -> None:
        self.marks = benchmarks
        super().scores(name, benchmarks, cut, distinct)

    def responses(self, name: str) -> dict[str, Any]:
        for benchmark, marks in self.marks.items():
            tables.problems(self.folder / "benchmarks" / benchmark, [{"id": one, "answers": ["1"]} for one in marks])
        rows = [
            {"set": benchmark, "problem_id": problem, "sample": sample, "seed": sample, "response": name}
            | {"tokens": 10 * (1 + sample), "finish_reason": "stop"}
            for benchmark, problems in self.marks.items()
            for problem, marks in problems.items()
            for sample in range(len(marks))
        ]
        with self._stage(f"responses/{name}/data.json", {}, Given(**ASKED)) as stage:
            write_rows(stage.partial / "responses.parquet", rows, RESPONSES)
            stage.publish()
        sets = [self.folder / "benchmarks" / benchmark / "data.json" for benchmark in self.marks]
        return {"responses": stage.out, "problems": sets}

    def _stage(self, out, inputs, settings=None, module="polaris.stage.manifest"):
        graded = Given(**tables.GRADING) if out.startswith("scores/") else settings
        return super()._stage(out, inputs, graded, module)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = whole_run(tmp_path / "runs/laptop", Generated)
    make(run)
    return run


def published(model: str) -> None:
    """`polaris publish MODEL --to out/released --license apache-2.0`"""
    publish.main(Place(Path("runs/laptop"), [LAPTOP]), [model], Path("out/released"), "apache-2.0", None, True)


def test_a_folder_with_its_card(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    published("core")
    out = tmp_path / "out/released"
    assert {path.name for path in out.iterdir()} == {"README.md", "config.json", "model.safetensors", "results"}
    _, head, text = (out / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head) == {
        "license": "apache-2.0", "library_name": "transformers", "pipeline_tag": "text-generation",
    }  # fmt: skip
    assert "base_small → format_sft (12 steps) → core (30 steps)" in text
    assert "| chain | 2 x 4 | 37.5 [" in text and "| to format_sft |" in text and "One training" in text
    # As the responses were generated, whatever the recipe says by now (configs/laptop.yaml: temperature 1.0).
    assert "| temperature | 0.75 |" in text and '    " Think first.\\n"\n' in text and "Underline" not in text
    assert "seed" not in text.partition("## How to ask it")[2].partition("##")[0]
    assert str(tmp_path) not in text
    assert "nothing was uploaded" in capsys.readouterr().out
    with pytest.raises(UserError, match="already exists"):
        published("core")


def test_a_merge_says_what_it_is_of(run, tmp_path):
    (tmp_path / "out").mkdir()
    published("alpha=0.50")
    text = (tmp_path / "out/released/README.md").read_text()
    assert (
        "The average 0.50 · base_large + (1 − 0.50) · distilled" in text and "| to base_large | to distilled |" in text
    )


def test_what_must_not_be_published(run, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="this run evaluates base_small, format_sft"):
        published("nobody")
    weights = run.folder / "core/model/model.safetensors"
    weights.write_text("weights x")  # as long as before
    with pytest.raises(UserError, match="model.safetensors: not the file that its stage published"):
        published("core")
    assert not (tmp_path / "out/released").exists()
    path = run.folder / "core/checkpoint.json"
    made = json.loads(path.read_text())
    made["files"]["model/model.safetensors"]["xxh3"] = "0"
    path.write_text(json.dumps(made))
    with pytest.raises(UserError, match="the report is of other weights"):
        published("core")


def test_a_card_must_know_how_the_model_was_asked(run, tmp_path):
    (tmp_path / "out").mkdir()
    shutil.rmtree(run.folder / "responses/core")
    run.table("responses/core", "others")
    with pytest.raises(UserError, match="responses/core/data.json: other responses than those that were scored"):
        published("core")
    shutil.rmtree(run.folder / "responses/core")
    with pytest.raises(UserError, match="responses/core/data.json: there is no such manifest"):
        published("core")
    run.scores("grpo", {"chain": {"p0": "1111", "p1": "1111"}})
    with pytest.raises(UserError, match="scores/grpo/data.json: the report is of other scores"):
        published("grpo")


def test_a_merge_that_was_never_written_is_refused(run, tmp_path):
    path = tmp_path / "runs/laptop/merged/alpha=0.50/checkpoint.json"
    (path.parent / "model/unwritten.json").write_text("{}")
    record = json.loads(path.read_text())
    record["files"]["model/unwritten.json"] = {"size": 2, "xxh3": file_digest(path.parent / "model/unwritten.json")}
    path.write_text(json.dumps(record))
    make(run)
    with pytest.raises(UserError, match=r"alpha=0.50: its weights were never written \(merge.keep: none\)"):
        published("alpha=0.50")
