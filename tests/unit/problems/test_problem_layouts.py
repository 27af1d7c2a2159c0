r"""Rows of real layouts become problems; what cannot be one is named."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.problems import problem_layouts
from polaris.problems.problem_layouts import without_request
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS
from tests.helpers.tables import read_problem_file

DATA = os.environ.get("POLARIS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="POLARIS_DATA names no folder with real problem files")
SUFFIX = " Let's think step by step and output the final answer within \\boxed{}."


def read_layout(rows, source, where, gold, max_rows=None):
    """As the product's, with places of our own."""
    placed = [(f"{where}: row {number}", row) for number, row in enumerate(rows, start=1)]
    return problem_layouts.read_layout(placed, source, where, gold, max_rows)


def v1(gold, index=0, text="What is 1+1?"):
    return {
        "data_source": "x",
        "prompt": [{"role": "user", "content": text + SUFFIX}],
        "ability": "math",
        "reward_model": {"ground_truth": gold, "style": "rule"},
        "extra_info": {"index": index, "split": "test"},
    }


R1 = (
    "<｜User｜>\nHow many? (a) 0 (b) 1\nPlease reason step by step, and put your final answer within "
    "\\boxed{}.<｜Assistant｜><think>\n"
)
HALF = "\\frac{1}{2}"


@pytest.mark.parametrize(
    ("row", "problem", "answers"),
    [
        # V1's parquet: Polaris-53K, AIME24, AIME25, AMC23 (floats), Minerva and OlympiadBench (arrays, several golds)
        (v1("025"), "What is 1+1?", ["025"]),
        (v1(142.0), "What is 1+1?", ["142"]),
        (v1(0.5), "What is 1+1?", ["0.5"]),
        (v1(["9.6\n", "9.60"]), "What is 1+1?", ["9.6", "9.60"]),
        (v1(np.array(["1", "-1"])), "What is 1+1?", ["1", "-1"]),
        (v1([]) | {"reward_model": {"ground_truth": HALF}}, "What is 1+1?", [HALF]),
        # the same sets as their authors publish them
        ({"problem": "P", "answer": HALF, "solution": "long"}, "P", [HALF]),  # DeepScaleR
        ({"prompt": R1, "task": "math", "query_id": "q7", "solutions": ["\\boxed{e}"]}, "How many? (a) 0 (b) 1", ["e"]),
        # AReaL-boba
        ({"problem": "P", "answer": "7", "difficulty": "3/8"}, "P", ["7"]),  # Polaris-53K
        ({"problem": "P", "answer": 7}, "P", ["7"]),  # BeyondAIME
        ({"id": 60, "problem": "P", "solution": "s", "answer": "204", "url": "u", "year": "2024"}, "P", ["204"]),
        # AIME24
        ({"ID": "2024-II-4", "Problem": "P", "Solution": "s", "Answer": 33}, "P", ["33"]),  # AIME24, other publisher
        ({"problem_idx": 1, "problem": "P", "answer": 70, "problem_type": ["Algebra"]}, "P", ["70"]),  # AIME25, AIME26
        ({"problem_idx": 3, "problem": "P", "answer": HALF, "problem_type": ["Algebra"]}, "P", [HALF]),  # HMMT
        ({"id": 0, "question": "P", "answer": 27.0, "url": "u"}, "P", ["27"]),  # AMC23
        ({"question": "P", "answer": "9.6"}, "P", ["9.6"]),  # Minerva
        ({"question": "P", "final_answer": ["1", "2"], "context": None, "solution": ["s"], "error": None}, "P",
         ["1", "2"]),  # OlympiadBench
        ({"question": "P", "final_answer": ["2.5"], "context": "Let f be.", "id": 1606}, "Let f be.\nP", ["2.5"]),
        ({"question": "Eggs?", "answer": "16-3=13\n#### 1,300"}, "Eggs?", ["1300"]),  # GSM8K
        ({"problem": "P", "answer": "5", "unique_id": "test/x.json", "level": 2}, "P", ["5"]),  # MATH-500
        ({"id": "a", "problem": "P", "answers": ["1"], "source": "s", "solution": None}, "P", ["1"]),  # ours
    ],
)  # fmt: skip
def test_layouts(row, problem, answers):
    (read,) = read_layout([row], "src", "f", "every")
    assert (read["problem"], read["answers"], read["source"]) == (problem, answers, "src")


TULU = {
    "id": "personas_IF_0",
    "prompt": "Name three trees. Use no comma.",
    "messages": [
        {"role": "user", "content": "Name three trees. Use no comma."},
        {"role": "assistant", "content": "Oak"},
    ],
    "constraints": ["no comma"],
}


@pytest.mark.parametrize("columns", [("id", "prompt", "messages", "constraints"), ("id", "messages"), ("id", "prompt")])
def test_prompts_without_golds(columns):
    row = {name: TULU[name] for name in columns}
    (read,) = read_layout([row], "src", "f", "none")
    solution = "Oak" if "messages" in columns else None
    own = {"id": "personas_IF_0", "problem": TULU["prompt"], "answers": [], "source": "src", "solution": solution}
    assert read == own
    with pytest.raises(UserError, match="no known layout of problems"):
        read_layout([row], "src", "f", "every")


def test_golds_are_not_looked_for_where_there_are_to_be_none():
    (read,) = read_layout([{"problem": "P", "answer": "7"}], "src", "f", "none")
    assert read["answers"] == []


DAPO = (
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "{} (without quotes) where {} is the answer to the problem.\n\nFind $x$.\nIt is not 3.\n\n"
    "Remember to put your answer on its own line {}"
)


@pytest.mark.parametrize(
    "text",
    [
        DAPO.format("$Answer", "$Answer", 'after "Answer:".'),
        DAPO.format("$ANSWER", "$ANSWER", 'after "Answer:", and you do not need to use a \\boxed command.'),
        DAPO.format("\\boxed{$Answer}", "$Answer", "after 'Answer:'."),
        DAPO.format('"ANSWER: $ANSWER"', "$ANSWER", 'at the end in the form "ANSWER: $ANSWER" (without quotes).\n'),
    ],
)
def test_the_request_around_a_problem_is_cut_off(text):
    """DAPO-Math-17k and what follows OpenAI's simple-evals: the answer's form is the recipe's to ask for."""
    (row,) = read_layout([v1("2") | {"prompt": [{"role": "user", "content": text}]}], "src", "f", "every")
    assert row["problem"] == "Find $x$.\nIt is not 3."


def test_rows_that_repeat_a_problem_are_read_once():
    """DAPO-Math-17k as published holds each of its problems a hundred times, under one id."""
    rows = [v1("1", "a"), v1("1", "a"), v1("2", "b", "What is 1*2?"), v1("1", "a"), v1("3", "c", "What is 1+2?")]
    assert [row["id"] for row in read_layout(rows, "s", "f", "every")] == ["a", "b", "c"]
    assert [row["id"] for row in read_layout(rows, "s", "f", "every", max_rows=2)] == ["a", "b"]


def test_no_more_rows_are_read_than_are_taken():
    def rows():
        yield "f: row 1", {"problem": "P", "answer": "1"}
        raise AssertionError("the second row was asked for")

    assert len(problem_layouts.read_layout(rows(), "s", "f", "every", 1)) == 1


def test_too_many_problems_for_the_memory_are_said(monkeypatch):
    monkeypatch.setattr(problem_layouts, "SIZE", 2000)
    rows = [{"problem": str(number), "answer": "1"} for number in range(9)]
    with pytest.raises(UserError, match=r"f: row 4: more than .* of problems; take the first of them"):
        read_layout(rows, "s", "f", "every")


def test_some_golds():
    rows = [{"problem": "P", "answer": "7"}, {"problem": "Q", "answer": ""}]
    assert [row["answers"] for row in read_layout(rows, "src", "f", "some")] == [["7"], []]
    with pytest.raises(UserError, match="f: row 2 has no gold answer"):
        read_layout(rows, "src", "f", "every")


def test_a_conversation_of_several_turns_is_no_problem():
    turns = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}, {"role": "user", "content": "C"}]
    with pytest.raises(UserError, match="row 1 has no problem text"):
        read_layout([{"messages": turns}], "src", "f", "none")


def test_ids_are_the_sources_own_or_the_rows():
    assert [r["id"] for r in read_layout([v1("1", 5), v1("1", 3)], "s", "f", "every")] == ["5", "3"]
    assert [
        r["id"] for r in read_layout([{"problem": "P", "answer": 1}, {"problem": "Q", "answer": 2}], "s", "f", "every")
    ] == [
        "0",
        "1",
    ]
    assert read_layout([{"problem": "P", "answer": 1, "id": 3.0}], "s", "f", "every")[0]["id"] == "3"
    assert (
        read_layout([{"problem": "P", "answer": 1, "unique_id": "t/a.json"}], "s", "f", "every")[0]["id"] == "t/a.json"
    )


def test_a_worked_solution_is_kept():
    (read,) = read_layout([{"question": "Q", "answer": "2*3=<<2*3=6>>6\n#### 6"}], "s", "f", "every")
    assert read["solution"] == "2*3=<<2*3=6>>6" and read["answers"] == ["6"]


def test_only_the_known_request_is_cut_off():
    inside = "Explain the final answer within \\boxed{}. Then stop."
    assert without_request(inside) == inside
    assert without_request("P." + SUFFIX) == "P."
    assert without_request(SUFFIX) == ""
    assert len(without_request("P" + " " * 200_000 + "Q")) == 200_002  # in linear time
    assert without_request("P.\nPlease reason step by step, and put your final answer within \\boxed{}.") == "P."


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
        ([v1("1", 4), v1("2", 4)], "f: row 2 has the id 4 of an earlier row with another problem"),
        ([v1("1", 4), v1("1", 4, "What is 2-1?")], "f: row 2 has the id 4 of an earlier row with another problem"),
        ([{"problem": "P", "answer": "See solution"}], "f: row 1 has no gold answer, or one that says so"),
        ([{"problem": "P", "answer": {"x": 1}}], "f: row 1: its gold answer is an object with the keys x; write"),
        (
            [{"question": "Q", "answer": ["1"]}, {"question": "Q", "answer": {}}],
            "f: row 2: its gold answer is an object",
        ),
        ([], "f: there is no problem in it"),
    ],
)
def test_what_is_no_problem_is_named(rows, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        read_layout(rows, "s", "f", "every")


NAMES = st.sampled_from(sorted(problem_layouts.COLUMNS | {"Problem", "role", "content", "value", "other"}))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9) | st.sampled_from(["user", "#### 2", '["2"]', "None", "[asy]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=3), st.sampled_from(["every", "some", "none"]))
def test_any_rows_are_problems_or_one_sentence(rows, gold):
    try:
        problems = read_layout(rows, "s", "f", gold)
    except UserError as error:
        assert "\n" not in str(error) and str(error).startswith("f: ")
    else:
        table = pa.Table.from_pylist(problems, schema=PROBLEMS)
        assert len(set(table.column("id").to_pylist())) == len(problems) >= 1


@needs_data
@pytest.mark.parametrize(("name", "count"), [("aime24", 30), ("amc23", 83), ("minerva", 272)])
def test_v1_benchmarks(name, count):
    path = Path(DATA, "benchmarks", f"{name}.parquet")
    rows = read_problem_file(path, name)
    assert len(rows) == count
    assert not any("output the final answer" in row["problem"] for row in rows)
    first = {"aime24": ["204"], "amc23": ["142"], "minerva": ["9.6"]}[name]
    assert rows[0]["answers"] == first


@needs_data
def test_gsm8k():
    path = Path(DATA, "gsm8k_test.jsonl")
    rows = read_problem_file(path, "gsm8k")
    assert len(rows) == 1319 and rows[0]["answers"] == ["18"]
    assert all(row["answers"][0].lstrip("-").replace(".", "").isdigit() for row in rows)
