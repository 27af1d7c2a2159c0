"""The grading verb, as a stage and on any file of answers."""

import json

import pytest

from polaris.commands.alone import files
from polaris.grading.grade import grade_responses, main
from polaris.grading.settings import Grading
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers import tables

RESPONSES = [
    ("1", "x</think>\\boxed{5}"),
    ("1", "x</think>\\boxed{6}"),
    ("2", "\\boxed{7}"),
    ("2", "x", "length"),
    ("2", "x</think>none"),
    ("2", "x</think>\\boxed{7.0} and", "length"),
]
REASONS = ["exact", "different", "no_think", "truncated", "no_answer", "exact"]


@pytest.fixture
def flags(tmp_path):
    made = tables.problems(tmp_path / "rl", [{"id": "1", "answers": ["5"]}, {"id": "2", "answers": ["1", "7"]}])
    given = tables.responses(tmp_path / "responses", RESPONSES)
    return {"--responses": given, "--problems": made, "--out": tmp_path / "scores" / "data.json"}


def run(flags: dict, **grading) -> None:
    words = [word for pair in flags.items() for word in pair]
    tables.run(main, "--settings", json.dumps(tables.GRADING | grading), *words)


def test_the_stage(flags):
    run(flags)
    rows = tables.read(flags["--out"], "graded.parquet")
    assert [row["reason"] for row in rows] == REASONS
    assert [row["correct"] for row in rows] == [reason == "exact" for reason in REASONS]
    assert [row["answer"] for row in rows] == ["5", "6", None, None, None, "7.0"]
    assert [row["sample"] for row in rows] == list(range(6)) and {row["set"] for row in rows} == {"rl"}
    metrics = manifest.read(flags["--out"]).metrics
    assert metrics["accuracy"] == {"rl": pytest.approx(2 / 6)} and metrics["truncated"] == {"rl": pytest.approx(2 / 6)}
    assert metrics["reasons"]["exact"] == 2 and sum(metrics["reasons"].values()) == metrics["responses"] == 6


def test_without_a_thought_where_none_is_demanded(flags):
    run(flags, format="none")
    assert [row["correct"] for row in tables.read(flags["--out"], "graded.parquet")] == [
        True,
        False,
        True,
        False,
        False,
        True,
    ]


def test_sets_with_the_same_ids_are_told_apart(flags, tmp_path):
    other = tables.problems(tmp_path / "other", [{"id": "1", "answers": ["6"]}])
    run(flags | {"--problems": f"{other}"} | {"--responses": tables.responses(tmp_path / "o", RESPONSES[:2], "other")})
    assert [row["correct"] for row in tables.read(flags["--out"], "graded.parquet")] == [False, True]


def test_what_does_not_fit_is_named(flags, tmp_path):
    with pytest.raises(UserError, match="set digits has responses, but was not given"):
        run(flags | {"--responses": tables.responses(tmp_path / "o", RESPONSES, "digits")})
    with pytest.raises(UserError, match="problem 9 of set rl"):
        run(flags | {"--responses": tables.responses(tmp_path / "p", [("9", "x")])})
    with pytest.raises(UserError, match="problem 1 of set rl: it has no gold answer"):
        run(flags | {"--problems": tables.problems(tmp_path / "more" / "rl", [{"id": "1"}, {"id": "2"}])})
    assert not flags["--out"].exists()


def test_a_damaged_generation_is_named(flags):
    """Cut in the middle of a row group; then of the right length, with a hole."""
    path = flags["--responses"].parent / "responses.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        UserError, match=r"its file responses.parquet has \d+ bytes, not \d+: it was changed or cut; restore it"
    ):
        run(flags)
    path.write_bytes(whole[:4] + bytes(400) + whole[404:])
    with pytest.raises(UserError, match="its file responses.parquet has other bytes than"):
        run(flags)
    assert not flags["--out"].exists()


def test_repeated_and_missing_problems_are_named(flags, tmp_path):
    twice = tables.problems(tmp_path / "twice" / "rl", [{"id": "1"}, {"id": "2"}, {"id": "2"}])
    with pytest.raises(UserError, match="1 problem ids occur more than once, the first is 2"):
        run(flags | {"--problems": twice})


def test_empty_responses_are_wrong_and_have_no_diversity(flags, tmp_path):
    texts = [("1", ""), ("1", " \n"), ("2", "a b c d e a b c d"), ("2", "")]
    run(flags | {"--responses": tables.responses(tmp_path / "empty", texts)}, format="none")
    assert {row["reason"] for row in tables.read(flags["--out"], "graded.parquet")} == {"no_answer"}
    rows = tables.read(flags["--out"], "diversity.parquet")
    assert [(row["problem_id"], row["distinct"]) for row in rows] == [("1", None), ("2", pytest.approx(5 / 6))]


@pytest.mark.slow
def test_too_many_failures_stop_the_stage():
    slow = r"\int_0^1 \frac{\ln(1+x+x^2)\arctan(x)}{1+x^5}\,dx"  # SymPy does not find it in minutes
    rows = [
        {"set": "rl", "problem_id": "1", "response": text, "sample": 0, "tokens": 1, "finish_reason": "stop"}
        for text in (f"\\boxed{{{slow}}}", "\\boxed{1}", "\\boxed{1}", "\\boxed{2}")
    ]
    grading = Grading(grader="polaris", format="none", timeout=0.5, workers=1, max_failure_rate=0.25)
    graded = grade_responses(rows, {"1": {"answers": ["1"]}}, grading)
    assert [row["reason"] for row in graded] == ["timeout", "exact", "exact", "different"]
    with pytest.raises(UserError, match=r"failed on 1 of 4 responses \(0 crashed, 1 timeout\)"):
        grade_responses(rows, {"1": {"answers": ["1"]}}, grading.model_copy(update={"max_failure_rate": 0.2}))


def by_hand(folder):
    """`polaris grade pairs.jsonl --output graded.jsonl`"""
    files.grade(folder / "pairs.jsonl", folder / "graded.jsonl", "none", "polaris", 20.0, as_json=True)


def test_by_hand(tmp_path):
    given = [
        {"gold": "1/2", "response": "x</think>\\boxed{0.5}", "note": [1]},
        {"gold": ["3", 4.0], "answer": "\\boxed{4}"},
        {"gold": 7, "response": "no box"},
        {"gold": None, "answer": "7"},
        {"gold": "x+1", "answer": "1+x"},
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(row) + "\n" for row in given))  # blank lines between
    by_hand(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "graded.jsonl").read_text().splitlines()]
    reasons = ["exact", "exact", "no_answer", "unparseable_gold", "equivalent"]
    assert [row.pop("reason") for row in rows] == reasons
    assert [row.pop("correct") for row in rows] == [reason in ("exact", "equivalent") for reason in reasons]
    assert all(row.pop("seconds") >= 0 for row in rows) and rows == given


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ('{"gold": 7, "answer": "\\ud800 7"}', "line 2 has half of a surrogate pair"),
        ('{"answer": "5"}', "`gold` is missing"),
        ('{"gold": 5}', "must be a text"),
    ],
)
def test_a_bad_row_is_named(tmp_path, line, message):
    (tmp_path / "pairs.jsonl").write_text('{"gold": 5, "answer": "5"}\n' + line + "\n")
    with pytest.raises(UserError, match=message):
        by_hand(tmp_path)
