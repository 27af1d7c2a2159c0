r"""Rows of real layouts become problems; what cannot be one is named."""

import os
from pathlib import Path

import pytest

from polaris.errors import UserError
from polaris.fetch_problems import file_rows
from polaris.problem_layouts import read_layout, without_suffix

DATA = os.environ.get("POLARIS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="POLARIS_DATA names no folder with real problem files")
SUFFIX = " Let's think step by step and output the final answer within \\boxed{}."


def v1(gold, index=0, text="What is 1+1?"):
    return {
        "data_source": "x",
        "prompt": [{"role": "user", "content": text + SUFFIX}],
        "ability": "math",
        "reward_model": {"ground_truth": gold, "style": "rule"},
        "extra_info": {"index": index, "split": "test"},
    }


@pytest.mark.parametrize(
    ("row", "problem", "answers"),
    [
        (v1("025"), "What is 1+1?", ["025"]),
        (v1(142.0), "What is 1+1?", ["142"]),
        (v1(0.5), "What is 1+1?", ["0.5"]),
        (v1(["9.6\n", "9.60"]), "What is 1+1?", ["9.6", "9.60"]),
        ({"question": "Eggs?", "answer": "16-3=13\n#### 1,300"}, "Eggs?", ["1300"]),
        ({"problem": "P", "answer": 7, "problem_idx": 3}, "P", ["7"]),
        ({"Problem": "P", "Answer": "7", "ID": "2024-I-1"}, "P", ["7"]),
        ({"problem": "P", "answer": "\\frac{1}{2}", "solution": "long"}, "P", ["\\frac{1}{2}"]),
        ({"prompt": "P", "solutions": ["\\boxed{5}", "\\boxed{5.0}"], "query_id": "q"}, "P", ["5", "5.0"]),
        ({"question": "P", "final_answer": ["1", "2"], "answer": None}, "P", ["1", "2"]),
        ({"id": "a", "problem": "P", "answers": ["1"], "source": "s", "solution": None}, "P", ["1"]),
    ],
)
def test_layouts(row, problem, answers):
    (read,) = read_layout([row], "src", "f")
    assert (read["problem"], read["answers"], read["source"]) == (problem, answers, "src")


def test_ids_are_the_sources_own_or_the_rows():
    assert [r["id"] for r in read_layout([v1("1", 5), v1("1", 3)], "s", "f")] == ["5", "3"]
    assert [r["id"] for r in read_layout([{"problem": "P", "answer": 1}, {"problem": "Q", "answer": 2}], "s", "f")] == [
        "0",
        "1",
    ]
    assert read_layout([{"problem": "P", "answer": 1, "unique_id": "t/a.json"}], "s", "f")[0]["id"] == "t/a.json"


def test_a_worked_solution_is_kept():
    (read,) = read_layout([{"question": "Q", "answer": "2*3=<<2*3=6>>6\n#### 6"}], "s", "f")
    assert read["solution"] == "2*3=<<2*3=6>>6" and read["answers"] == ["6"]


def test_only_the_known_request_is_cut_off():
    inside = "Explain the final answer within \\boxed{}. Then stop."
    assert without_suffix(inside) == inside
    assert without_suffix("P." + SUFFIX) == "P."
    assert without_suffix("P.\nPlease reason step by step, and put your final answer within \\boxed{}.") == "P."


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "P", "label": 1}], "f: these columns are no known layout of problems: label, text;"),
        ([{"problem": "P", "answer": 1}, {"problem": "Q", "answer": None}], "f: row 2 has no gold answer"),
        ([{"problem": "P", "answer": " "}], "f: row 1 has no gold answer"),
        ([{"problem": "  ", "answer": 1}], "f: row 1 has no problem text"),
        ([v1([])], "f: row 1 has no gold answer"),
        ([v1("1"), {"problem": "P", "answer": 1}], "f: row 2 is not laid out as the first one"),
        (
            [{"question": "Q", "answer": "#### 1"}, {"question": "Q", "answer": "no mark"}],
            "f: row 2 has no gold answer",
        ),
        ([v1("1", 4), v1("2", 4)], "f: row 2 has the id 4 of an earlier row"),
        ([], "f: there is no problem in it"),
    ],
)
def test_what_is_no_problem_is_named(rows, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        read_layout(rows, "s", "f")


@needs_data
@pytest.mark.parametrize(("name", "count"), [("aime24", 30), ("amc23", 83), ("minerva", 272)])
def test_v1_benchmarks(name, count):
    path = Path(DATA, "benchmarks", f"{name}.parquet")
    rows = read_layout(file_rows(path), name, str(path))
    assert len(rows) == count
    assert not any("output the final answer" in row["problem"] for row in rows)
    first = {"aime24": ["204"], "amc23": ["142"], "minerva": ["9.6"]}[name]
    assert rows[0]["answers"] == first


@needs_data
def test_gsm8k():
    path = Path(DATA, "gsm8k_test.jsonl")
    rows = read_layout(file_rows(path), "gsm8k", str(path))
    assert len(rows) == 1319 and rows[0]["answers"] == ["18"]
    assert all(row["answers"][0].lstrip("-").replace(".", "").isdigit() for row in rows)
