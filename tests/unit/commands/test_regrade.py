"""Stored generations graded again: the same verdicts, row by row, and a changed grader's flips by name."""

import json
from pathlib import Path

import pytest

from polaris.commands import regrade
from polaris.commands.runs import Place
from polaris.grading import grade
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import GRADED, read_rows
from tests.helpers import tables

PLACE = Place(Path("runs/laptop"), [])
# math-verify's rules find 2^2 equal to 4 and 4/8 to 1/2; V1's do not.
TEXTS = [
    ("1", "\\boxed{4}"),
    ("1", "\\boxed{2^{2}}"),
    ("1", "\\boxed{5}"),
    ("2", "\\boxed{\\frac{4}{8}}"),
    ("2", ""),
    ("2", "x", "length"),
]


@pytest.fixture
def scores(tmp_path, monkeypatch):
    """A graded stage's manifest; inputs are found from the folder that the stage ran in."""
    monkeypatch.chdir(tmp_path)
    made = tables.problems(tmp_path / "rl", [{"id": "1", "answers": ["4"]}, {"id": "2", "answers": ["\\frac12"]}])
    given = tables.responses(tmp_path / "responses", TEXTS)
    out = tmp_path / "runs" / "laptop" / "scores" / "core" / "data.json"
    settings = json.dumps(tables.GRADING | {"format": "none"})
    tables.run(grade.main, "--settings", settings, "--responses", given, "--problems", made, "--out", out)
    return manifest.read(out)


def test_stored_scores_are_reproduced(scores, capsys):
    assert regrade.main("core", PLACE, None)
    assert capsys.readouterr().out == "6 responses: every verdict and every reason is as stored\n"


def test_another_grader_shows_what_flipped(scores, capsys):
    assert not regrade.main("core", PLACE, "deepscaler")
    out = capsys.readouterr().out
    assert out.startswith(
        "2 of 6 verdicts flipped, 0 to right and 2 to wrong; 0 others have another reason\nrl: 50.0 -> 16.7 %"
    )
    rows = [line.split() for line in out.splitlines()[5:]]
    assert [row[:5] for row in rows] == [
        ["rl", "1", "1", "equivalent", "different"],
        ["rl", "2", "3", "exact", "different"],
    ]


def test_a_verdict_that_was_tampered_with_is_found(scores, capsys):
    """A right answer stored as wrong: the rest of the file is as it was."""
    path = scores.file("graded.parquet")
    rows = read_rows(path, GRADED)
    rows[0] |= {"correct": False, "reason": "different"}
    again = [dict(row) for row in rows]
    again[0] |= {"correct": True, "reason": "exact"}
    again[2] |= {"reason": "timeout"}
    text = regrade.lines(rows, again)
    assert text[0] == "1 of 6 verdicts flipped, 1 to right and 0 to wrong; 1 others have another reason"
    assert text[-1].split() == ["rl", "1", "0", "different", "exact", "'4'"]


def test_other_generations_are_refused(scores, tmp_path):
    tables.responses(tmp_path / "responses", TEXTS[:3])
    with pytest.raises(UserError, match="its verdicts are not of .*which was generated again since"):
        regrade.main("core", PLACE, None)
