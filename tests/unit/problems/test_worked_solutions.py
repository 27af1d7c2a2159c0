"""Worked solutions and traces of one's own, in a column or in a conversation; what cannot be told is named."""

import pytest

from polaris.problems import problem_layouts
from polaris.stage.errors import UserError


def read_layout(rows, gold):
    placed = [(f"f: row {number}", row) for number, row in enumerate(rows, start=1)]
    return problem_layouts.read_layout(placed, "src", "f", gold)


THOUGHT = "<think>\nI add.\n</think>\n\n\\boxed{4}"
ASKED = {"role": "user", "content": "What is 2+2?"}
SHARED = {"conversations": [{"from": "human", "value": "What is 2+2?"}, {"from": "gpt", "value": THOUGHT}]}


@pytest.mark.parametrize(
    ("row", "gold", "answers", "solution"),
    [
        ({"problem": "What is 2+2?", "answer": 4, "solution": "2+2=4"}, "every", ["4"], "2+2=4"),
        ({"messages": [ASKED, {"role": "assistant", "content": THOUGHT}]}, "none", [], THOUGHT),
        ({"messages": [{"role": "system", "content": "Be brief."}, ASKED, {"role": "assistant", "content": THOUGHT}],
          "answer": "4"}, "every", ["4"], THOUGHT),
        ({"messages": [ASKED, {"role": "assistant", "reasoning_content": "I add.", "content": "\\boxed{4}"}],
          "answer": ["4", "four"]}, "every", ["4", "four"], THOUGHT),
        ({**SHARED, "answer": 4.0}, "every", ["4"], THOUGHT),
        ({**SHARED, "answers": None, "answer": None}, "some", [], THOUGHT),
        ({"question": "What is 2+2?", "messages": [ASKED], "answer": "4"}, "every", ["4"], None),
        ({"question": "What is 2+2?", "solution": None, "answer": [4, "4.0"]}, "every", ["4", "4.0"], None),
        ({"question": "What is 2+2?", "solution": [None, "2+2=4"], "answer": {"value": "4"}}, "every", ["4"], "2+2=4"),
    ],
)  # fmt: skip
def test_worked_solutions_and_traces(row, gold, answers, solution):
    (read,) = read_layout([row], gold)
    assert (read["problem"], read["answers"], read["solution"]) == ("What is 2+2?", answers, solution)


@pytest.mark.parametrize(
    ("rows", "gold", "message"),
    [
        ([{"Frage": "P", "Loesung": "5"}], "every", "f: these columns are no known layout of problems: frage, loesung"),
        ([SHARED], "every", "no known layout of problems: conversations; needed are .* and one of answers, answer"),
        ([{**SHARED, "answer": "4"}, {**SHARED, "answer": None}], "every", "f: row 2 has no gold answer"),
        ([{"problem": "P", "answer": "4"}, {"problem": "Q", "answer": {"x": 1}}], "some",
         "f: row 2: its gold answer is an object with the keys x"),
        ([{"messages": [ASKED, ASKED], "answer": "4"}], "every", "f: row 1 has no problem text .of chat messages, one"),
        ([{"messages": {"user": "P"}, "answer": "4"}], "every", "f: row 1 has no problem text"),
    ],
)  # fmt: skip
def test_odd_rows_are_named(rows, gold, message):
    with pytest.raises(UserError, match=message):
        read_layout(rows, gold)
