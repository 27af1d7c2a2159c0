"""The layouts in which RL problems are released: verl's with its nested columns, and others by `columns`.

Of V2's 14K set only the name is known: these fixtures are in the layout of V1's files, and of sets of the same kind.
"""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polaris.problems import fetch_problems
from polaris.stage.errors import UserError
from polaris.stage.manifest import read
from polaris.stage.records import PROBLEMS, read_rows
from tests.helpers import tables

VERL = [
    {
        "data_source": "polaris",
        "prompt": [{"role": "user", "content": f"What is {n} + {n}?"}],
        "ability": "math",
        "reward_model": {"ground_truth": str(2 * n), "style": "rule"},
        "extra_info": {"index": f"v2-{n}", "split": "train"},
    }
    for n in range(1, 4)
]
NESTED = [{"item": {"Question": f"{n}?", "meta": {"final": n}}, "level": 4 / 8} for n in (1, 2)]
SHAREGPT = [
    {
        "dialogue": [{"from": "human", "value": f"{n}?"}, {"from": "gpt", "value": f"It is \\boxed{{{n}}}."}],
        "gold": str(n),
    }
    for n in (1, 2)
]


def written(path, rows):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def fetched(tmp_path, file, capsys, **settings) -> tuple[list[dict], str]:
    """The problems, and what the stage says."""
    given = json.dumps({"file": str(file), "gold": "every", **settings})
    tables.run(fetch_problems.main, "--settings", given, "--out", tmp_path / "rl/data.json")
    return read_rows(read(tmp_path / "rl/data.json").file("problems.parquet"), PROBLEMS), capsys.readouterr().err


@pytest.mark.parametrize("name", ["v2.parquet", "v2.json", "v2.jsonl"])
def test_verls_nested_columns(tmp_path, capsys, name):
    problems, said = fetched(tmp_path, written(tmp_path / name, VERL), capsys)
    assert [(row["id"], row["problem"], row["answers"]) for row in problems] == [
        (f"v2-{n}", f"What is {n} + {n}?", [str(2 * n)]) for n in range(1, 4)
    ]
    assert (
        "problem from prompt, answer from reward_model.ground_truth, id from extra_info.index; not read: data" in said
    )


@pytest.mark.parametrize("name", ["v2.parquet", "v2.json", "v2.jsonl"])
def test_other_columns_by_a_key_of_the_recipe(tmp_path, capsys, name):
    columns = {"problem": "item.question", "answer": "item.meta.final"}
    problems, said = fetched(tmp_path, written(tmp_path / name, NESTED), capsys, columns=columns)
    assert [(row["problem"], row["answers"]) for row in problems] == [("1?", ["1"]), ("2?", ["2"])]
    assert "problem from item.question, answer from item.meta.final; not read: level" in said


def test_a_conversation_that_a_recipe_names_keeps_its_solution(tmp_path, capsys):
    columns = {"problem": "dialogue", "answer": "gold"}
    problems, said = fetched(tmp_path, written(tmp_path / "v2.jsonl", SHAREGPT), capsys, columns=columns)
    assert [(row["problem"], row["solution"]) for row in problems] == [
        (f"{n}?", f"It is \\boxed{{{n}}}.") for n in (1, 2)
    ]
    assert "solution from dialogue (assistant)" in said


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"answer": "reward_model.truth"}, "columns.answer: there is no column reward_model.truth"),
        ({"problem": "promt"}, "columns.problem: there is no column promt; did you mean prompt?"),
        ({"problem": "ability.text"}, "columns.problem: there is no column ability.text"),
        ({"problem": "extra_info", "answer": "reward_model.ground_truth"}, "row 1 has no problem text"),
    ],
)
def test_what_cannot_be_mapped_is_refused(tmp_path, capsys, columns, words):
    with pytest.raises(UserError) as error:
        fetched(tmp_path, written(tmp_path / "v2.parquet", VERL), capsys, columns=columns)
    assert words in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_layout_that_is_not_known_names_its_columns_and_what_to_write(tmp_path, capsys):
    with pytest.raises(UserError) as error:
        fetched(tmp_path, written(tmp_path / "v2.parquet", NESTED), capsys)
    assert "no known layout of problems: item, level" in str(error.value) and "`columns: {problem:" in str(error.value)
