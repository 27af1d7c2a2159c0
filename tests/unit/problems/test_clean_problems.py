"""The cleaning of a training set, from manifests to the card."""

import json
import re
from pathlib import Path

import pytest

from polaris.problems import clean_problems, make_problems
from polaris.problems.cleaning_card import kind
from polaris.problems.settings import Clean
from polaris.recipe import recipe
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS
from tests.helpers import tables
from tests.helpers.verb_settings import CLEAN as SETTINGS

ROOT = Path(__file__).resolve().parents[3]
LEAKED = (
    "A train leaves the old station at noon and reaches the sea after three long hours. How fast does it go on average?"
)
STORY = (
    "Anna buys seven red pens and nine blue books for her class, which has {} pupils. How much does she pay in total?"
)
ROWS = [
    {"id": "good", "problem": "Compute $3+4$.", "answers": ["7"]},
    {"id": "again", "problem": "compute $3 + 4$", "answers": ["7"]},
    {"id": "other", "problem": "Compute  $3+4$", "answers": ["8"]},
    {"id": "minus", "problem": "Compute $3-4$.", "answers": ["-1"]},
    {"id": "half", "problem": "Compute $\\frac12+0$.", "answers": ["\\frac{1}{2}"]},
    {"id": "story", "problem": STORY.format("some"), "answers": ["40"]},
    {"id": "story2", "problem": STORY.format("thirty"), "answers": ["40"]},
    {"id": "story3", "problem": STORY.format("many"), "answers": ["41"]},
    {"id": "leak", "problem": "Trains. " + LEAKED.upper() + " Answer in km/h.", "answers": ["70"]},
    {"id": "proof", "problem": "Prove that 2 is <b>prime</b>.", "answers": ["1"]},
    {"id": "nothing", "problem": "Find 2.", "answers": []},
    {"id": "empty", "problem": "Find a brace.", "answers": ["{"]},
    {"id": "long", "problem": "Find x. " + "x" * 300, "answers": ["1"]},
]
REASONS = {
    "again": "duplicate", "other": "duplicate", "story2": "near_duplicate", "leak": "contaminated", "proof": "proof",
    "nothing": "no_gold", "empty": "unparseable_gold", "long": "too_long",
}  # fmt: skip


def clean(folder, rows, settings=SETTINGS, name="rl") -> manifest.Manifest:
    problems = tables.problems(folder / "problems" / name, rows)
    bench = tables.problems(folder / "benchmarks/sea", [{"id": "t1", "problem": LEAKED}])
    out = folder / "clean" / name / "data.json"
    words = ["--problems", problems, "--benchmarks", bench, "--out", out]
    tables.run(clean_problems.main, "--settings", json.dumps(settings), *words)
    return manifest.read(out)


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    return clean(tmp_path_factory.mktemp("run"), ROWS)


def test_what_stays(cleaned):
    kept = tables.read(cleaned.path, "problems.parquet")
    assert [row["id"] for row in kept] == ["good", "minus", "half", "story", "story3"]
    assert set(kept[0]) == set(PROBLEMS.names) and cleaned.stage == "rl"


def test_every_dropped_one_has_its_reason_and_what_shows_it(cleaned):
    dropped = {row["id"]: row for row in tables.read(cleaned.path, "dropped.parquet")}
    assert {name: row["reason"] for name, row in dropped.items()} == REASONS
    assert cleaned.metrics["problems"] == 13 and cleaned.metrics["kept"] == 5
    assert cleaned.metrics["dropped"]["duplicate"] == 2 and sum(cleaned.metrics["dropped"].values()) == len(REASONS)
    assert dropped["again"]["other"] == "good" and dropped["again"]["evidence"] == "the same text"
    assert dropped["other"]["evidence"] == "the same text, but the answer 8 here and 7 there"
    assert dropped["story2"]["other"] == "story" and dropped["leak"]["other"] == "sea/t1"
    assert "train leaves the old station at noon" in dropped["leak"]["evidence"]
    assert dropped["proof"]["evidence"].startswith("Prove that 2") and dropped["proof"]["other"] is None


def test_the_card_shows_it_and_runs_nothing(cleaned):
    page = cleaned.file("card.html").read_text()
    assert "Training set rl" in page and "Held out: sea (1 problems)" in page
    for reason in set(REASONS.values()):
        assert reason.replace("_", " ") in page
    assert "Prove that 2 is &lt;b&gt;prime&lt;/b&gt;." in page and "<b>prime" not in page
    assert re.search(r'<td class="long">[^<]*train leaves the old station', page)  # long cells are broken into lines
    assert "<script" not in page and not re.search(r"(?:src|href)=|url\(|@import", page)
    assert page.count("<svg") == 3 and page.count("<table>") == 1


def test_prompts_without_golds_are_cleaned_by_text_alone(tmp_path):
    rows = [row | {"answers": []} for row in ROWS]
    done = clean(tmp_path, rows, SETTINGS | {"unsuitable": []}, "distill")
    reasons = {row["id"]: row["reason"] for row in tables.read(done.path, "dropped.parquet")}
    assert reasons == {
        "again": "duplicate", "other": "duplicate", "story2": "near_duplicate", "story3": "near_duplicate",
        "leak": "contaminated", "long": "too_long",
    }  # fmt: skip


def test_a_set_of_nothing_else_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"rl: no problem of 2 is left; dropped: \{'proof': 1, 'no_gold': 1\}"):
        clean(tmp_path, [ROWS[9], ROWS[10]])
    assert not (tmp_path / "clean/rl/data.json").exists()


@pytest.mark.parametrize("name", ["format", "rl", "distill"])
@pytest.mark.slow
def test_the_laptop_loses_no_problem(name):
    """Made problems share their form; that must not make one of them the other's duplicate, or a leak."""
    laptop = recipe.load([ROOT / "configs/laptop.yaml"])
    rows = make_problems.rows(laptop.inputs.problems[name])
    benchmarks = [
        clean_problems.Held(held, row["id"], row["problem"])
        for held, section in laptop.inputs.benchmarks.items()
        for row in make_problems.rows(section)
    ]
    held_out = clean_problems.HeldOut(benchmarks, laptop.clean[name].leak_ngram)
    assert clean_problems.to_drop(rows, held_out, laptop.clean[name]) == {}
    copy = [rows[0] | {"id": "copy"}, rows[1] | {"id": "leak", "problem": benchmarks[0].text}]
    found = clean_problems.to_drop([*rows, *copy], held_out, laptop.clean[name])
    assert {problem_id: why.reason for problem_id, why in found.items()} == {
        "copy": "duplicate",
        "leak": "contaminated",
    }


def test_the_section_is_checked():
    with pytest.raises(ValueError, match="duplicate_share"):
        Clean.model_validate(SETTINGS | {"duplicate_share": 0})
    with pytest.raises(ValueError, match="unsuitable.0"):
        Clean.model_validate(SETTINGS | {"unsuitable": ["ugly"]})


@pytest.mark.parametrize(
    ("golds", "expected"),
    [
        ([], "none"), (["7"], "integer"), (["-1,300"], "integer"), (["0.5"], "fraction or decimal"),
        (["\\frac{1}{2}"], "fraction or decimal"), (["C"], "letter"), (["Tuesday"], "word"), (["x+1"], "expression"),
        (["1", "-1"], "one of several"),
    ],
)  # fmt: skip
def test_kinds_of_answer(golds, expected):
    assert kind(golds) == expected
