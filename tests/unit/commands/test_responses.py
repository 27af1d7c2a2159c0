"""`polaris rollouts` on evaluations and traces: names, folders, one question in a terminal, and what is not there."""

import json
from pathlib import Path

import pytest

from polaris.commands import responses
from polaris.commands.runs import Place
from polaris.stage.errors import UserError
from tests.helpers.answered import judge_traces, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = write_run(tmp_path_factory.mktemp("of"))
    judge_traces(made, [None] * 6)
    return made


def show(run, *names, problem=None, grader=None, as_json=False):
    responses.main(names, Place(run, []), problem, grader, as_json)


def test_names_lead_to_what_judged_them(run):
    assert responses.folder_of("scores/first", run) == run / "scores/first"
    assert responses.folder_of("responses/first", run) == run / "scores/first"
    assert responses.folder_of("traces", run) == run / "sft_data"
    assert responses.folder_of("traces_self", run) == run / "sft_data_self"
    assert responses.folder_of(str(run / "responses/first"), Path("elsewhere")) == run / "scores/first"


def test_pages_lie_in_the_run(run, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    show(run, "scores/first", "responses/second")
    said = capsys.readouterr().out
    assert "made  three     0 of 2  2 of 2" in said and said.endswith("scores-first-second/index.html\n")
    assert (run / "rollouts/scores-first-second/index.html").is_file()
    show(run, "traces")
    assert (run / "rollouts/traces/index.html").is_file()
    show(run, "scores/first", as_json=True)
    capsys.readouterr()


def test_for_programs(run, capsys):
    show(run, "scores/first", as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert (
        found["set"] == "made"
        and {"mark": "cut", "name": "truncated", "file": "cut_1.html", "count": 1} in found["filters"]
    )


def test_one_question_in_a_terminal(run, capsys):
    show(run, "scores/first", "scores/second", problem="three")
    said = capsys.readouterr().out
    assert "accepted: 6" in said and "--- first, response 1: wrong (truncated)" in said
    assert "<script>" in said and "\x1b" not in said and "\\x1b[2J" in said  # no text rules the terminal


def test_another_grader(run, capsys):
    show(run, "scores/first", grader="deepscaler")
    head, _, row, *_ = capsys.readouterr().out.splitlines()
    assert "graders disagree" in head and row.split()[-1] == "1"


def test_what_is_not_there_is_one_sentence(run):
    with pytest.raises(UserError, match="what it answered to the benchmarks: polaris rollouts scores/first"):
        show(run, "first")
    with pytest.raises(UserError, match="its stage has not finished"):
        show(run, "scores/third")
    with pytest.raises(UserError, match="no responses are stored here; name an RL stage, scores/MODEL"):
        show(run, "benchmarks/made")
    with pytest.raises(UserError, match="two can be read side by side, not 3"):
        show(run, "scores/first", "scores/second", "scores/first")
