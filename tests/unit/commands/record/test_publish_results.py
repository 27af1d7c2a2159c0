"""What published results hold, and what they must not: questions that are not free, folders of a machine."""

import pyarrow.parquet as pq
import pytest
import yaml

from polaris.commands import verify
from polaris.commands.record import layout
from polaris.stage.errors import UserError
from tests.helpers import published_run
from tests.helpers.published_run import K, published


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return published_run.make(tmp_path)


def rows(out, evaluation: str, benchmark: str) -> list[dict]:
    return pq.read_table(out / layout.responses_file(evaluation, benchmark)).to_pylist()


def test_every_response_with_its_verdict_and_every_number(place, tmp_path, capsys):
    out = tmp_path / "out"
    record = published(place, out)
    assert [row["response"] for row in rows(out, "strong", "open")] == [
        published_run.text("strong", n, sample) for n in range(1, 5) for sample in range(K)
    ]
    assert [row["correct"] for row in rows(out, "strong", "open")] == [True] * 5 + [False] + [True] * 2
    (score,) = [row for row in record["scores"] if (row["name"], row["benchmark"]) == ("strong", "open")]
    assert (score["avg"], score["n"], score["k"]) == (0.875, 4, K)
    (judged,) = record["judgements"]
    assert (judged["a"], judged["b"], judged["published"]) == ("strong", "weak", 0.7)
    text = (out / "README.md").read_text()
    assert "| strong | open | 4 | 2 | 87.5 [" in text and "| strong − weak | open | +70.0 | " in text
    assert "polaris verify FOLDER" in text and "bound: licence CC-BY-NC-SA-4.0; its questions and 8 responses" in text
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert b"/private" not in everything and str(tmp_path).encode() not in everything
    assert not (out / ".eval_results").exists()  # which are one model's
    capsys.readouterr()
    assert verify.main(str(out), [], as_json=False)
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "16 responses graded again: every verdict and number is as published"
    assert said[0].startswith("bound: licence CC-BY-NC-SA-4.0, so that its questions are not here")


def test_questions_under_another_licence_stay_and_so_do_the_responses_that_quote_them(place, tmp_path):
    out = tmp_path / "out"
    published(place, out)
    assert (out / layout.problems_file("open")).is_file() and not (out / layout.problems_file("bound")).exists()
    kept = rows(out, "strong", "bound")
    assert [row["response"] is None for row in kept] == [True, False] * 4
    assert [row["correct"] for row in kept] == [row["correct"] for row in rows(out, "strong", "open")]
    assert b"around the lake" not in (out / layout.responses_file("strong", "bound")).read_bytes()
    # Who has the questions grades all of them again, also where only the answer was passed on.
    file = tmp_path / "mine.jsonl"
    lines = [f'{{"id": "q{n}", "problem": "?", "answer": "{60 * n}"}}\n' for n in range(1, 5)]
    file.write_text("".join(lines))
    assert verify.main(str(out), [f"bound={file}"], as_json=False)
    file.write_text("".join(lines).replace('"120"', '"7"'))
    assert not verify.main(str(out), [f"bound={file}"], as_json=False)
    for wrong, words in (("bound", "write BENCHMARK=FILE"), ("other=x", "--problems other: it is none of open, bound")):
        with pytest.raises(UserError, match=words):
            verify.main(str(out), [wrong], as_json=False)


def test_one_model_has_its_weights_and_the_hubs_files(place, tmp_path):
    out = tmp_path / "out"
    record = published(place, out, ("strong",), weights=True)
    assert {"model.safetensors", "config.json", "README.md"} < set(record["files"])
    (entry,) = yaml.safe_load((out / ".eval_results/open.yaml").read_text())
    assert entry["dataset"] == {"id": "a/open", "task_id": "default", "revision": "a" * 40}
    assert entry["value"] == 87.5 and entry["notes"].startswith("avg@2 87.5 [") and "temperature 0.6" in entry["notes"]
    assert not (out / ".eval_results/bound.yaml").exists()  # a file has no leaderboard
    assert verify.main(str(out), [], as_json=False)
    (out / "model.safetensors").unlink()  # as in a folder that was fetched without them
    assert verify.main(str(out), [], as_json=False)
    with pytest.raises(UserError, match="weak strong: one model is published with its weights"):
        published(place, tmp_path / "two", weights=True)


def test_responses_that_were_made_again_are_refused(place, tmp_path):
    (tmp_path / "runs/audit/responses/weak/responses.parquet").write_bytes(b"x" * 9)
    with pytest.raises(UserError, match="its file responses.parquet has 9 bytes"):
        published(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"family": "chain"}, None),
        ({"hub": "a/b", "licence": "MIT"}, None),
        ({"hub": "a/b", "licence": "cc-by-4.0"}, None),
        ({"hub": "a/b", "licence": None}, "no licence is known"),
        ({"file": "x", "licence": "CC-BY-SA-4.0"}, "licence CC-BY-SA-4.0"),
    ],
)
def test_only_what_anybody_may_pass_on_is_passed_on(source, why):
    assert layout.withheld(source) == why
