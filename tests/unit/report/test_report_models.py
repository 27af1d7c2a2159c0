"""The report of models that the run did not make: what was done, and nothing else."""

from pathlib import Path

import pytest

from polaris.commands import show
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS, RESPONSES, write_rows
from tests.helpers.report_run import Run
from tests.helpers.reports import BETTER, CHAIN, DIGITS, make

NOTHING = {"ladder": [], "generalists": [], "alphas": {}}
TEXT = "# Not a title\n<b>bold</b> {{ braces }} \\boxed{7}\n" + "long " * 600


class Answered(Run):
    """Scores of responses that can be read."""

    def scores(self, name, benchmarks, **more):
        self.asked = benchmarks
        super().scores(name, benchmarks, **more)

    def responses(self, name: str) -> dict[str, Path]:
        paths = {}
        for benchmark, problems in self.asked.items():
            rows = [
                {"id": p, "problem": f"Find {p}.", "answers": ["7", "8"], "source": "t", "solution": None}
                for p in problems
            ]
            with self._stage(f"benchmarks/{benchmark}/data.json", {}) as stage:
                write_rows(stage.partial / "problems.parquet", rows, PROBLEMS)
                stage.publish()
            paths["problems"] = stage.out
        rows = [
            {"set": b, "problem_id": p, "sample": n, "seed": 0, "response": f"{name} {p} {n}: {TEXT}", "tokens": 9,
             "finish_reason": "stop"}
            for b, problems in self.asked.items() for p, marks in problems.items() for n, _ in enumerate(marks)
        ]  # fmt: skip
        with self._stage(f"responses/{name}/data.json", {}) as stage:
            write_rows(stage.partial / "responses.parquet", rows, RESPONSES)
            stage.publish()
        return {"responses": stage.out, **paths}


def three(folder: Path, kind: type[Run] = Run, **marks) -> Run:
    run = kind(folder)
    for name, right in {"a": CHAIN, "b": BETTER, "c": CHAIN}.items():
        run.model(name, f"weights {name}", folder=f"models/{name}")
        run.scores(name, {"chain": right, **marks})
    return run


def test_each_model_is_compared_with_those_before_it(tmp_path, capsys):
    run = three(tmp_path, digits=DIGITS)
    report = make(run, models=["a", "b", "c"], **NOTHING)
    assert {(row["a"], row["b"]) for row in report["pairs"]} == {("b", "a"), ("c", "a"), ("c", "b")}
    assert {row["family"] for row in report["pairs"]} == {"models"} and report["claims"] == []
    assert [row["name"] for row in report["checkpoints"]] == ["a", "b", "c"] and report["examples"] == []
    text, page = ((tmp_path / "report" / name).read_text() for name in ("report.md", "index.html"))
    for word in ("pecialist", "eneralist", "adder", "alpha", "reinforcement", "One training", "control"):
        assert word not in text and word not in page.partition("<body>")[2], word
    assert "Nothing was trained in this run." in text and "b − a" in text and "<h2>Models</h2>" in page
    show.main(tmp_path)
    shown = capsys.readouterr().out
    assert "to a" in shown and "to b" in shown and "Specialist" not in shown


def test_one_model_has_nothing_to_be_compared_with(tmp_path):
    run = Run(tmp_path)
    run.model("a", "weights", folder="models/a")
    run.scores("a", {"chain": CHAIN})
    assert make(run, models=["a"], **NOTHING)["pairs"] == []
    assert "Differences" not in (tmp_path / "report/report.md").read_text()
    with pytest.raises(UserError, match="one of them must name a model"):
        make(run, **NOTHING)


def test_a_further_model_beside_a_trained_one(tmp_path):
    run = Run(tmp_path)
    for name in ("base_small", "grpo", "other"):
        run.model(name, name, **({"start": "base_small"} if name == "grpo" else {}))
        run.scores(name, {"chain": CHAIN})
    report = make(run, ladder=["base_small", "grpo"], generalists=[], alphas={}, models=["other"])
    families = {(row["a"], row["b"]): row["family"] for row in report["pairs"]}
    assert families == {
        ("grpo", "base_small"): "ladder", ("other", "base_small"): "models", ("other", "grpo"): "models",
    }  # fmt: skip
    assert "<h2>Further models</h2>" in (tmp_path / "report/index.html").read_text()


def test_responses_to_read(tmp_path):
    run = three(tmp_path, Answered)
    report = make(run, models=["a", "b", "c"], **NOTHING)
    rows = [row for row in report["examples"] if row["name"] == "a"]
    assert [(row["reason"], row["count"], row["of"]) for row in rows] == [("different", 5, 8), ("exact", 3, 8)]
    assert rows[0]["problem"] == "Find p0." and rows[0]["golds"] == ["7", "8"] and rows[0]["correct"] is False
    assert rows[0]["response"].startswith("a p0 1: # Not a title") and "characters ...]" in rows[0]["response"]
    text, page = ((tmp_path / "report" / name).read_text() for name in ("report.md", "index.html"))
    assert "    <b>bold</b> {{ braces }}" in text and "\n# Not a title" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in page and "<b>bold" not in page


def test_responses_that_are_gone_or_others_are_not_shown(tmp_path):
    run = three(tmp_path, Answered)
    (tmp_path / "responses/a/data.json").unlink()
    old = manifest.read(tmp_path / "responses/b/data.json")
    run.asked = {"chain": {"p0": "1"}}
    run.responses("b")
    assert manifest.read(tmp_path / "responses/b/data.json").content != old.content
    assert {row["name"] for row in make(run, models=["a", "b", "c"], **NOTHING)["examples"]} == {"c"}
