"""A second opinion on answers: who is asked about what, what is stored, and that no score has anything of it."""

import json
from pathlib import Path

import pytest

from polaris.commands import judged
from polaris.commands.runs import Place
from polaris.grading import grade
from polaris.stage.errors import UserError
from polaris.stage.manifest import read
from tests.helpers import tables
from tests.helpers.judge_server import server, settings

PLACE = Place(Path("runs/laptop"), [])
GOLD = "all odd primes p"
TEXTS = [
    ("1", f"\\boxed{{{GOLD}}}"),  # the very text: nobody is asked
    ("1", "\\boxed{every prime except 2}"),
    ("1", "\\boxed{every prime except 2}"),  # the same answer is asked about once
    ("2", "\\boxed{7}"),
    ("2", "I do not know."),
]


@pytest.fixture
def scores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = tables.problems(Path("imo"), [{"id": "1", "answers": [GOLD]}, {"id": "2", "answers": ["8"]}])
    given = tables.responses(Path("responses"), TEXTS, "imo")
    out = Path("runs/laptop/scores/core/data.json")
    words = ("--settings", json.dumps(tables.GRADING | {"format": "none"}), "--responses", given, "--problems", made)
    tables.run(grade.main, *words, "--out", out)
    return read(out)


def test_what_the_judge_says_stands_apart(scores, tmp_path, capsys):
    before = scores.file("graded.parquet").read_bytes()
    with server(lambda n, body: (200, "YES" if "except 2" in str(body) else "<think>8?</think> no.")) as (
        address,
        seen,
    ):
        judged.main("core", PLACE, [], settings(address), tmp_path / "second.json")
    assert len(seen) == 2 and all("I do not know" not in str(one) for one in seen)
    assert GOLD in str(seen[0]["body"]) and "every prime except 2" in str(seen[0]["body"])
    record = json.loads((tmp_path / "second.json").read_text())
    assert record["by_benchmark"] == {"imo": {
        "responses": 5, "right_by_rules": 1, "right_by_judge": 3, "only_judge_right": 2, "only_rules_right": 0,
        "without_opinion": 0,
    }}  # fmt: skip
    assert [row["judge"] for row in record["opinions"]] == [None, "yes", "yes", "no", None]
    assert record["scores"] == scores.content and scores.file("graded.parquet").read_bytes() == before
    said = capsys.readouterr().out
    assert "20.0        60.0" in " ".join(said.split("\n")[2:3]) and "no score has changed" in said


def test_a_reply_that_is_no_word_and_answers_beyond_the_limit_are_no_opinions(scores, tmp_path):
    with server(lambda n, body: (200, "Perhaps yes")) as (address, _):
        judged.main("core", PLACE, ["imo"], settings(address), tmp_path / "second.json")
    record = json.loads((tmp_path / "second.json").read_text())
    assert {row["judge"] for row in record["opinions"]} == {None, "unreadable"}
    counts = record["by_benchmark"]["imo"]
    assert counts["without_opinion"] == 3 and counts["right_by_judge"] == counts["right_by_rules"] == 1
    assert judged.questions(
        [{"set": "s", "problem_id": "1", "answer": str(n), "reason": "different"} for n in range(9)], 4
    ) == [("s", "1", str(n)) for n in range(4)]


def test_a_benchmark_that_is_not_there_and_a_key_that_is_refused_write_nothing(scores, tmp_path):
    with pytest.raises(UserError, match="--benchmark aime: it is none of imo"):
        judged.main("core", PLACE, ["aime"], settings("http://127.0.0.1:9/v1"), tmp_path / "second.json")
    with server(lambda n, body: (401, None)) as (address, _), pytest.raises(UserError, match="it answered 401"):
        judged.main("core", PLACE, [], settings(address), tmp_path / "second.json")
    assert not (tmp_path / "second.json").exists()
