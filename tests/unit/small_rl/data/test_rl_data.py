"""The data stages of the specialist, on small real tables."""

import json
import random
import re

import pytest

from polaris.problems.tiny_problems import answer, make_chain, solve
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import ACCURACY, DIFFICULTY
from small_rl.data import build_format_data, build_rl_data, drop_easy_data, filter_overlap
from tests.helpers import tables

RIGHT = "{}\n</think>\n\n\\boxed{{5}}"
WRONG = "{}\n</think>\n\n\\boxed{{6}}"


def underlined(*results: str) -> str:
    return "".join(f"\\underline{{{result}}}" for result in results)


def run(verb, settings: dict, out, **flags) -> manifest.Manifest:
    """Run a verb's main; the manifest it wrote."""
    words = [word for name, path in flags.items() for word in (f"--{name}", path)]
    settings = settings | {"grading": tables.GRADING}
    tables.run(verb.main, "--settings", json.dumps(settings), "--out", out / "data.json", *words)
    return manifest.read(out / "data.json")


# --- format data --------------------------------------------------------------------------------------------------
FORMAT = {"instruction": " Underline.", "keep": "correct", "underlined_only": True}
ANSWERS = [
    ("1", RIGHT.format(underlined("a=1", "b=5"))),
    ("1", "<think>\n" + RIGHT.format(underlined("a=1"))),
    ("1", WRONG.format(underlined("a=2"))),
    ("1", RIGHT.format("no results")),
    ("1", underlined("a=1") + "\\boxed{5}"),
    ("1", RIGHT.format(underlined("a=1")) + " and", "length"),
    ("1", underlined("a=1"), "length"),
]


@pytest.fixture
def teacher(tmp_path):
    return {
        "problems": tables.problems(tmp_path / "format", [{"id": "1", "answers": ["5"], "problem": "a=1?"}]),
        "responses": tables.responses(tmp_path / "teacher", ANSWERS, "format"),
    }


def test_a_teachers_answers_become_messages(tmp_path, teacher):
    done = run(build_format_data, FORMAT, tmp_path / "out", **teacher)
    rows = tables.read(done.path, "messages.parquet")
    assert [row["messages"][1]["content"] for row in rows] == ["<think>\n" + ANSWERS[0][1], ANSWERS[1][1]]
    assert rows[0]["messages"][0] == {"role": "user", "content": "a=1? Underline."}
    assert rows[0]["messages"][1]["role"] == "assistant" and rows[0]["problem_id"] == "1"
    assert done.metrics["dropped"] == {"truncated": 2, "different": 1, "no_underline": 1, "no_think": 1}
    assert done.metrics["examples"] == 2 and done.metrics["mean_steps"] == 1.5
    card = done.file("card.html").read_text()
    assert "2 worked answers are kept, 5 dropped" in card and "no underline" in card and "a=1? Underline." in card


def test_wrong_answers_teach_the_format_where_all_are_kept(tmp_path, teacher):
    done = run(build_format_data, FORMAT | {"keep": "all", "underlined_only": False}, tmp_path / "out", **teacher)
    assert done.metrics["examples"] == 4 and done.metrics["dropped"] == {"truncated": 2, "no_think": 1}


def test_worked_solutions_stand_in_for_a_teacher(tmp_path):
    rng = random.Random(0)
    made = [make_chain(3, rng) for _ in range(5)]
    rows = [
        {
            "id": str(i),
            "problem": p.text,
            "answers": [answer(p)],
            "solution": solve(p, rng, error_rate=0, underlined=i > 0),
        }
        for i, p in enumerate(made)
    ]
    rows.append({"id": "none", "answers": ["1"]})
    done = run(build_format_data, FORMAT, tmp_path / "out", problems=tables.problems(tmp_path / "format", rows))
    assert done.metrics["examples"] == 4 and done.metrics["dropped"] == {"no_solution": 1, "no_underline": 1}
    contents = [row["messages"][1]["content"] for row in tables.read(done.path, "messages.parquet")]
    assert contents == [row["solution"] for row in rows[1:5]]


def test_no_format_data_names_the_reasons(tmp_path, teacher):
    teacher["responses"] = tables.responses(tmp_path / "t", [("1", WRONG.format(underlined("a=2")))], "format")
    with pytest.raises(UserError, match=r"no worked answer is left; dropped: \{'different': 1\}"):
        run(build_format_data, FORMAT, tmp_path / "out", **teacher)


# --- RL data ------------------------------------------------------------------------------------------------------
RL_DATA = {"drop_above": 0.9, "drop_unsolved": True, "consensus": "rollouts"}
ROLLOUTS = [
    ("easy", RIGHT.format(underlined("e=1"))),
    ("easy", RIGHT.format("")),
    ("half", RIGHT.format(underlined("a=1", "b=2", "5"))),
    ("half", WRONG.format(underlined("a=1", "c=3"))),
    ("hard", WRONG.format(underlined("x=1"))),
    ("hard", WRONG.format("")),
    ("other", RIGHT.format(underlined("a=1"))),
    ("other", WRONG.format(underlined("z=9"))),
]


@pytest.fixture
def rollouts(tmp_path):
    rows = [{"id": name, "answers": ["5"]} for name in ("half", "easy", "hard", "other")]
    return {"problems": tables.problems(tmp_path / "rl", rows), "responses": tables.responses(tmp_path / "k", ROLLOUTS)}


def test_difficulty_and_consensus(tmp_path, rollouts):
    done = run(build_rl_data, RL_DATA, tmp_path / "out", **rollouts)
    assert [row["id"] for row in tables.read(done.path, "problems.parquet")] == ["half", "other"]
    assert tables.read(done.path, "difficulty.parquet") == [
        {"problem_id": "half", "correct": 1, "k": 2},
        {"problem_id": "easy", "correct": 2, "k": 2},
        {"problem_id": "hard", "correct": 0, "k": 2},
        {"problem_id": "other", "correct": 1, "k": 2},
    ]
    consensus = [(row["problem_id"], row["step"], row["count"]) for row in tables.read(done.path, "consensus.parquet")]
    assert consensus == [("half", "5", 1), ("half", "a=1", 1), ("half", "b=2", 1), ("other", "a=1", 1)]
    assert done.metrics["histogram"] == [1, 2, 1] and done.metrics["dropped"] == {"too_easy": 1, "unsolved": 1}
    assert done.metrics["kept"] == 2 and done.metrics["consensus_sets"] == 2


def test_the_consensus_of_a_teacher(tmp_path, rollouts):
    taught = [
        ("half", RIGHT.format(underlined("t=1"))),
        ("other", WRONG.format(underlined("t=2"))),
        ("easy", RIGHT.format(underlined("t=3"))),
    ]
    given = rollouts | {"teacher": tables.responses(tmp_path / "teacher", taught)}
    done = run(build_rl_data, RL_DATA | {"consensus": "teacher"}, tmp_path / "out", **given)
    consensus = [(row["problem_id"], row["step"]) for row in tables.read(done.path, "consensus.parquet")]
    assert consensus == [("half", "t=1")]  # verified answers to problems that stay


def test_the_consensus_of_worked_solutions(tmp_path, rollouts):
    settings = RL_DATA | {"consensus": "teacher"}
    with pytest.raises(UserError, match="needs worked solutions in the problems, or small_rl.teacher"):
        run(build_rl_data, settings, tmp_path / "none", **rollouts)
    rows = [{"id": name, "answers": ["5"]} for name in ("easy", "hard", "other")]
    rows.append({"id": "half", "answers": ["5"], "solution": RIGHT.format(underlined("w=1"))})
    given = rollouts | {"problems": tables.problems(tmp_path / "solved", rows)}
    done = run(build_rl_data, settings, tmp_path / "out", **given)
    assert [row["step"] for row in tables.read(done.path, "consensus.parquet")] == ["w=1"]


def test_unsolved_problems_stay_when_asked(tmp_path, rollouts):
    done = run(build_rl_data, RL_DATA | {"drop_above": 1.0, "drop_unsolved": False}, tmp_path / "out", **rollouts)
    assert done.metrics["kept"] == 4 and done.metrics["consensus_sets"] == 3


def test_the_difficulty_card(tmp_path, rollouts):
    page = run(build_rl_data, RL_DATA, tmp_path / "out", **rollouts).file("card.html")
    text = page.read_text()
    assert "4 problems were read, 2 kept" in text and text.count("<svg") == 1 and "<script" not in text
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", text)][1:]
    assert rows == [["0 of 2", "1", "0", "unsolved"], ["1 of 2", "2", "2", "–"], ["2 of 2", "1", "0", "too easy"]]


def test_difficulties_of_another_k_do_not_compare(tmp_path, rollouts):
    uneven = rollouts | {"responses": tables.responses(tmp_path / "uneven", [*ROLLOUTS, ROLLOUTS[0]])}
    with pytest.raises(UserError, match="problem half has 2 responses, problem easy has 3"):
        run(build_rl_data, RL_DATA, tmp_path / "out", **uneven)


def test_problems_without_responses_and_an_empty_result_are_errors(tmp_path, rollouts):
    short = rollouts | {"responses": tables.responses(tmp_path / "short", ROLLOUTS[:4])}
    with pytest.raises(UserError, match=r"problem hard has no response \(2 such problems of 4\)"):
        run(build_rl_data, RL_DATA, tmp_path / "out", **short)
    with pytest.raises(UserError, match=r"no problem of 4 is left; dropped: .*'too_easy': 3"):
        run(build_rl_data, RL_DATA | {"drop_above": 0.1}, tmp_path / "out", **rollouts)
    assert not (tmp_path / "out" / "data.json").exists()


# --- overlap ------------------------------------------------------------------------------------------------------
def test_overlap(tmp_path, rollouts):
    settings = {"keep": "median", "threshold": None, "within": "all", "without_pair": "drop"}
    done = run(filter_overlap, settings, tmp_path / "out", **rollouts)
    assert [row["id"] for row in tables.read(done.path, "problems.parquet")] == ["half"]
    assert tables.read(done.path, "overlap.parquet") == [
        {"problem_id": "half", "correct": 1, "k": 2, "overlap": 0.25, "kept": True},
        {"problem_id": "easy", "correct": 2, "k": 2, "overlap": None, "kept": False},
        {"problem_id": "hard", "correct": 0, "k": 2, "overlap": None, "kept": False},
        {"problem_id": "other", "correct": 1, "k": 2, "overlap": 0.0, "kept": False},
    ]
    assert done.metrics["dropped"] == {"no_pair": 2, "low_overlap": 1} and done.metrics["bound"] == 0.125
    card = done.file("card.html").read_text()
    assert "1 of 4 problems are kept; the filter cuts at an overlap of 0.125." in card and "no pair" in card
    assert "<td>0.2</td><td>1</td><td>1</td><td>0</td><td>0</td>" in card  # half's overlap; no problem's accuracy
    assert "<td>0.5</td><td>0</td><td>0</td><td>2</td><td>1</td>" in card
    kept = run(filter_overlap, settings | {"without_pair": "keep"}, tmp_path / "more", **rollouts)
    assert kept.metrics["kept"] == 3
    with pytest.raises(UserError, match="no problem of 4 is left; dropped: .*'low_overlap': 2"):
        run(filter_overlap, settings | {"keep": "threshold", "threshold": 0.9}, tmp_path / "none", **rollouts)


# --- drop easy ----------------------------------------------------------------------------------------------------
DROP_EASY = {"rule": "mean", "above": 0.9}


@pytest.fixture
def visited(tmp_path):
    """Three problems of an RL stage: one solved, one unsolved on its second visit, one never visited."""
    log = [(1, "solved", 1.0), (1, "mixed", 1.0), (2, "mixed", 0.0), (2, "elsewhere", 1.0)]
    correct = {"solved": 2, "mixed": 4, "unseen": 4, "elsewhere": 1}
    accuracy = [{"step": step, "problem_id": name, "accuracy": value} for step, name, value in log]
    difficulty = [{"problem_id": name, "correct": n, "k": 4} for name, n in correct.items()]
    return {
        "problems": tables.problems(tmp_path / "data", [{"id": name} for name in ("solved", "mixed", "unseen")]),
        "log": tables.publish(tmp_path / "stage", "accuracy.parquet", accuracy, ACCURACY),
        "difficulty": tables.publish(tmp_path / "rl_data", "difficulty.parquet", difficulty, DIFFICULTY),
    }


def drop_easy(out, settings=DROP_EASY, **flags) -> manifest.Manifest:
    words = [word for name, path in flags.items() for word in (f"--{name}", path)]
    tables.run(drop_easy_data.main, "--settings", json.dumps(settings), "--out", out / "data.json", *words)
    return manifest.read(out / "data.json")


def test_what_a_stage_solved_leaves_the_next_one(tmp_path, visited):
    done = drop_easy(tmp_path / "out", **visited)
    assert [row["id"] for row in tables.read(done.path, "problems.parquet")] == ["mixed"]
    assert tables.read(done.path, "ease.parquet") == [
        {"problem_id": "solved", "logged": 1.0, "offline": 0.5, "kept": False},
        {"problem_id": "mixed", "logged": 0.5, "offline": 1.0, "kept": True},
        {"problem_id": "unseen", "logged": None, "offline": 1.0, "kept": False},
    ]
    assert done.metrics == {"kept": 1, "dropped": 2, "visited": 2}
    card = done.file("card.html").read_text()
    assert "1 of 3 problems are kept; 2 were visited. Above 0.9 is too easy." in card
    assert "<td>0.5</td><td>1</td><td>1</td><td>1</td><td>0</td>" in card


def test_drop_easy_names_what_does_not_fit(tmp_path, visited):
    with pytest.raises(UserError, match="all 3 problems are above 0.1; raise"):
        drop_easy(tmp_path / "out", {"rule": "mean", "above": 0.1}, **visited)
    strange = tables.problems(tmp_path / "strange", [{"id": "strange"}])
    with pytest.raises(UserError, match="difficulty.parquet: 1 of the stage's problems are missing, e.g. strange"):
        drop_easy(tmp_path / "out", **visited | {"problems": strange})
    unseen = tables.problems(tmp_path / "unseen", [{"id": "unseen"}])
    with pytest.raises(UserError, match="trained on none of the 1 problems"):
        drop_easy(tmp_path / "out", **visited | {"problems": unseen})
    with pytest.raises(UserError, match="it has no file accuracy.parquet"):
        drop_easy(tmp_path / "out", **visited | {"log": visited["problems"]})
