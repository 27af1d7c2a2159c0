"""The probe as a stage, by hand, and with a judge behind a real local address."""

import collections
import json
import threading

import pytest

from polaris.commands.alone import files
from polaris.evaluation.settings import Resampling
from polaris.stage import manifest
from polaris.stage.errors import UserError
from small_rl.studies import judge, probe
from tests.helpers import tables
from tests.helpers.judge_server import server, settings

RIGHT, WRONG = "{}\n</think>\n\n\\boxed{{5}}", "{}\n</think>\n\n\\boxed{{6}}"
REPORT = {"confidence": 0.95, "resamples": 200, "seed": 0}
KEY = "POLARIS_TEST_JUDGE_KEY"


def underlined(*results: str) -> str:
    return "".join(f"\\underline{{{result}}}" for result in results)


# Per problem two right and two wrong responses. The final answers (5 of the right ones, 6 of the wrong ones) are
# underlined.
RESPONSES = [
    ("one", RIGHT.format(underlined("a=1", "b=2", "5"))),
    ("one", RIGHT.format(underlined("a=1", "b=2", "5"))),
    ("one", WRONG.format(underlined("a=1", "c=3", "6"))),
    ("one", WRONG.format(underlined("d=4", "6"))),
    ("two", RIGHT.format(underlined("x=1", "5"))),
    ("two", RIGHT.format(underlined("y=1", "5"))),
    ("two", WRONG.format("")),
    ("two", WRONG.format("")),
]
PROBLEMS = [{"id": "one", "answers": ["5"]}, {"id": "two", "answers": ["5"]}]


def classes(found: dict, key: str) -> dict[str, float]:
    return {row["class"]: row["mean"] for row in found[key]["classes"]}


def test_the_stage(tmp_path):
    given = [tables.problems(tmp_path / "rl", PROBLEMS), tables.responses(tmp_path / "k", RESPONSES)]
    settings = json.dumps(REPORT | {"grading": tables.GRADING, "judge": None})
    words = ["--settings", settings, "--problems", given[0], "--responses", given[1]]
    tables.run(probe.main, *words, "--out", tmp_path / "probe" / "data.json")
    done = manifest.read(tmp_path / "probe" / "data.json")
    found = json.loads(done.file("probe.json").read_text())
    names = ["correct-correct", "correct-incorrect", "incorrect-incorrect"]
    # one: CC 1, CI (0.2 + 0) / 2, II 1/4; two: CC 1/3, CI 0, II 0 (empty)
    assert list(classes(found, "with_answer").values()) == pytest.approx([2 / 3, 0.05, 0.125], abs=1e-6)
    # without 5 and 6: one: CC 1, CI (1/3 + 0) / 2, II 0; two: CC 0, CI 0, II 0
    assert list(classes(found, "without_answer").values()) == pytest.approx([0.5, 1 / 12, 0], abs=1e-6)
    assert list(classes(found, "without_answer")) == names and done.metrics["without_answer"]["correct-correct"] == 0.5
    assert [row["empty_pairs"] for row in found["with_answer"]["classes"]] == [0, 0, 1]
    assert found["answer_steps"] == 6 and found["rollouts_without_steps"] == 2 and found["accuracy"] == 0.5
    assert found["judge"] is None and found["grading"]["responses"] == 8
    page = done.file("index.html").read_text()
    assert "correct-incorrect" in page and "<svg" in page and "http" not in page.replace("http://www.w3.org", "")


def rollouts(path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def by_hand(tmp_path, rows, page=None, judge=None) -> dict:
    """`polaris probe r.jsonl --output p.json`"""
    rollouts(tmp_path / "r.jsonl", rows)
    files.probe(tmp_path / "r.jsonl", [], tmp_path / "p.json", page, "none", judge, Resampling(**REPORT), 20.0)
    return json.loads((tmp_path / "p.json").read_text())


def rows(graded: bool) -> list[dict]:
    found = []
    for number, (problem, response) in enumerate(RESPONSES):
        row = {"problem_id": problem, "sample_id": number, "response": response, "gold": 5}
        found.append(row | {"correct": "boxed{5}" in response} if graded else row)
    return found


def test_by_hand_with_and_without_verdicts(tmp_path):
    graded = by_hand(tmp_path, rows(graded=True), tmp_path / "p.html")
    assert "<svg" in (tmp_path / "p.html").read_text() and graded["grading"] is None
    again = by_hand(tmp_path, rows(graded=False))
    assert sum(again["grading"].values()) == 8 and again["grading"]["different"] == 4
    assert again["with_answer"] == graded["with_answer"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[1].pop("response"), "line 2: `response` is missing"),
        (lambda r: r[1].pop("gold"), "line 2: `gold` is missing"),
        (lambda r: r[1].update(response=5), "line 2: `response` must be a text"),
        (lambda r: r[1].update(correct="yes"), "line 2: .*`correct`, where it is given, true or false"),
        (lambda r: r[1].pop("correct"), "line 2: `correct` must be in every row or in none"),
        (lambda r: r[1].update(sample_id=0), "line 2: sample 0 of problem one is there twice"),
        (lambda r: r.clear(), "there is no rollout in it"),
        (lambda r: r.__delitem__(slice(1, None)), "no pair"),
    ],
)
def test_a_wrong_file_names_the_row(tmp_path, change, message):
    given = rows(graded=True)
    change(given)
    with pytest.raises(UserError, match=message):
        by_hand(tmp_path, given)


def test_a_row_without_gold_cannot_be_graded(tmp_path):
    given = rows(graded=False)
    given[2]["gold"] = None
    with pytest.raises(UserError, match="line 3: it has neither `correct` nor a gold answer"):
        by_hand(tmp_path, given)


# --- the judge ----------------------------------------------------------------------------------------------------
PAIR = (["a=1"], ["a=1", "b=2"])


@pytest.mark.parametrize(
    ("reply", "value", "problem"),
    [
        ("7", 7, None),
        (" 10\n", 10, None),
        ("<think>3? 9?</think>\n8", 8, None),
        ("11", None, "outside_1_to_10"),
        ("0", None, "outside_1_to_10"),
        ("-3", None, "outside_1_to_10"),
        ("7/10", None, "unreadable"),
        ("Score: 7", None, "unreadable"),
        ("7.5", None, "unreadable"),
        ("", None, "unreadable"),
        ("٧", None, "unreadable"),
    ],
)
def test_replies(reply, value, problem):
    assert judge.read_score(reply) == judge.Score(value, problem)


def test_what_is_sent(monkeypatch):
    monkeypatch.setenv(KEY, "secret\n")
    with server(lambda number, body: (200, "7")) as (address, seen):
        assert judge.scores([PAIR], settings(address, key=KEY)) == [judge.Score(7, None)]
    sent = seen[0]
    assert sent["path"] == "/v1/chat/completions" and sent["key"] == "Bearer secret"
    assert sent["body"]["temperature"] == 0 and sent["body"]["max_tokens"] == 16 and sent["body"]["model"] == "judge"
    assert '["a=1", "b=2"]' in sent["body"]["messages"][0]["content"]


@pytest.mark.slow
def test_retries_then_gives_up_and_counts():
    replies = [(503, "9"), (200, "9"), (500, "1"), (429, "1"), (200, None), (200, "4")]
    with server(lambda number, body: replies[number - 1]) as (address, seen):
        found = judge.scores([PAIR] * 4, settings(address))
    assert [score.value or score.problem for score in found] == [9, "no_reply", "unreadable", 4] and len(seen) == 6


def test_a_silent_server_costs_no_more_than_the_timeouts():
    stop = threading.Event()

    def wait(number, body):
        stop.wait(30)
        return 200, "5"

    with server(wait) as (address, _):
        try:
            found = judge.scores([PAIR] * 3, settings(address, timeout=0.2, retries=0, total_timeout=0.3))
        finally:
            stop.set()
    assert [score.problem for score in found] == ["no_reply", "no_reply", "not_asked"]


@pytest.mark.parametrize("status", [401, 404, 302])
def test_a_refusal_stops_at_once_and_tells_no_key(monkeypatch, status):
    monkeypatch.setenv(KEY, "secret")
    with (
        server(lambda number, body: (status, "secret"), "no: Bearer secret") as (address, seen),
        pytest.raises(UserError, match=f"it answered {status}") as error,
    ):
        judge.scores([PAIR] * 50, settings(address, key=KEY))
    assert "secret" not in str(error.value) and len(seen) < 10  # of 50: those under way when the first reply is read
    assert all(one["path"] == "/v1/chat/completions" for one in seen)  # a redirect is not followed


@pytest.mark.parametrize("key", ["secret\nX: y", "secret\u20ac", "\x1bsecret"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(monkeypatch, key):
    monkeypatch.setenv(KEY, key)
    with pytest.raises(UserError, match=f"the environment variable {KEY} holds .* that no header can") as error:
        judge.scores([PAIR], settings("http://127.0.0.1:9/v1", key=KEY))
    assert "secret" not in str(error.value)


def test_a_missing_key_and_a_key_in_the_address(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(UserError, match=f"the environment variable {KEY} is not set"):
        judge.scores([PAIR], settings("http://127.0.0.1:9/v1", key=KEY))
    with pytest.raises(ValueError, match="address"):
        settings("http://user:secret@host/v1")


def test_the_judges_numbers(tmp_path):
    """It says 9 for equal lists and 2 for others, once 12: the class means follow, traces are not sent."""

    def answer(number, body):
        lines = [line for line in body["messages"][0]["content"].splitlines() if line.startswith("Solution ")]
        lists = [json.loads(line.partition(": ")[2]) for line in lines]
        assert all(lists) and "boxed" not in str(body) and "</think>" not in str(body)
        return 200, "9" if lists[0] == lists[1] else "12" if ["d=4"] in lists else "2"

    with server(answer) as (address, seen):
        asks = settings(address).model_dump_json()
        found = by_hand(tmp_path, rows(graded=True), judge=asks)["judge"]
    right, mixed, wrong = found["classes"]
    assert right["mean"] == 5.5 and right["pairs"] == 2  # one: 9; two: 2
    assert (mixed["mean"], mixed["problems"], mixed["pairs"], mixed["empty_pairs"]) == (2.0, 1, 2, 4)
    assert (wrong["mean"], wrong["pairs"], wrong["empty_pairs"]) == (None, 0, 1)
    assert found["asked"] == 7 == len(seen) and found["scored"] == 4
    assert found["without_score"] == collections.Counter({"outside_1_to_10": 3})


def test_pairs_are_drawn_up_to_the_limit(tmp_path):
    with server(lambda number, body: (200, "5")) as (address, seen):
        found = by_hand(tmp_path, rows(graded=True), judge=settings(address, pairs=1).model_dump_json())["judge"]
    assert found["asked"] == len(seen) and sum(row["pairs"] + row["empty_pairs"] for row in found["classes"]) == 6


def test_no_score_at_all_is_an_error(tmp_path):
    with (
        server(lambda number, body: (200, "many")) as (address, _),
        pytest.raises(UserError, match=r"none of 7 replies was a score from 1 to 10 .*'unreadable': 7"),
    ):
        by_hand(tmp_path, rows(graded=True), judge=settings(address).model_dump_json())
