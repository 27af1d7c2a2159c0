"""Consensus sets from a teacher, and the placebo: those of other problems."""

import json

import pytest

from polaris.stage import manifest
from polaris.stage.errors import UserError
from small_rl.data import build_teacher_sets
from small_rl.reward.core import of_other_problems
from tests.helpers import tables

RIGHT, WRONG = "{}\n</think>\n\n\\boxed{{5}}", "{}\n</think>\n\n\\boxed{{6}}"


def underlined(*results: str) -> str:
    return "".join(f"\\underline{{{result}}}" for result in results)


def run(out, placebo: bool, **flags) -> manifest.Manifest:
    words = [word for name, path in flags.items() for word in (f"--{name}", path)]
    settings = json.dumps({"placebo": placebo, "grading": tables.GRADING})
    tables.run(build_teacher_sets.main, "--settings", settings, "--out", out / "data.json", *words)
    return manifest.read(out / "data.json")


def sets(done: manifest.Manifest) -> list[tuple[str, str]]:
    return [(row["problem_id"], row["step"]) for row in tables.read(done.path, "consensus.parquet")]


@pytest.fixture
def given(tmp_path):
    """Five problems, solved by the teacher but for `d`, and without a result in `e`."""
    rows = [{"id": name, "answers": ["5"]} for name in "cabde"]
    texts = [
        ("c", RIGHT.format(underlined("c=1", "c=2"))),
        ("a", RIGHT.format(underlined("a=1"))),
        ("b", RIGHT.format(underlined("b=1"))),
        ("d", WRONG.format(underlined("d=1"))),
        ("e", RIGHT.format("")),
    ]
    return {"problems": tables.problems(tmp_path / "rl", rows), "teacher": tables.responses(tmp_path / "t", texts)}


def test_a_teachers_verified_results(tmp_path, given):
    done = run(tmp_path / "out", False, **given)
    assert sets(done) == [("a", "a=1"), ("b", "b=1"), ("c", "c=1"), ("c", "c=2")]
    assert done.metrics == {"consensus_sets": 3, "consensus_steps": 4, "answers": 5, "right": 4}


def test_the_placebo_has_every_set_at_another_problem(tmp_path, given):
    assert sets(run(tmp_path / "out", True, **given)) == [("a", "b=1"), ("b", "c=1"), ("b", "c=2"), ("c", "a=1")]


def test_the_placebos_sets_are_as_large_as_the_teachers_that_a_training_reads(tmp_path, given):
    """A training leaves out what states its own problem's answer; of another problem it could not know."""
    texts = [(name, RIGHT.format(underlined(f"{name}=1", f"z_{name}=5"))) for name in "cabde"]
    given["teacher"] = tables.responses(tmp_path / "with answers", texts)
    assert {step for _, step in sets(run(tmp_path / "placebo", True, **given))} == {f"{name}=1" for name in "cabde"}
    assert len(sets(run(tmp_path / "teacher", False, **given))) == 10


def test_nothing_is_added_or_lost():
    rows = [{"problem_id": p, "step": f"{p}{i}", "count": i} for p in "xyz" for i in range(3)]
    moved = of_other_problems(rows, "yzx")
    assert sorted((r["step"], r["count"]) for r in moved) == sorted((r["step"], r["count"]) for r in rows)
    assert all(r["step"][0] != r["problem_id"] for r in moved)
    assert {(r["problem_id"], r["step"][0]) for r in moved} == {("y", "z"), ("z", "x"), ("x", "y")}


def test_worked_solutions_stand_in_for_a_teacher(tmp_path):
    rows = [{"id": n, "answers": ["5"], "solution": RIGHT.format(underlined(f"{n}=1"))} for n in "ab"]
    done = run(tmp_path / "out", False, problems=tables.problems(tmp_path / "rl", rows))
    assert sets(done) == [("a", "a=1"), ("b", "b=1")]


def test_a_teacher_that_solves_nothing(tmp_path, given):
    texts = [(name, WRONG.format(underlined("a=1"))) for name in "abcde"]
    given["teacher"] = tables.responses(tmp_path / "wrong", texts)
    with pytest.raises(UserError, match=r"only 0 problems have underlined results in a right answer \(0 of 5"):
        run(tmp_path / "out", True, **given)
