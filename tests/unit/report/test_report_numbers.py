"""results.json of a small run: its numbers by hand."""

from pathlib import Path

import pytest

from polaris.evaluation import significance
from tests.helpers.report_run import Run
from tests.helpers.reports import CHAIN, LADDER, Page, ladder, make, only


def test_models_by_hand(found: dict):
    row = only(found["models"], name="base_small", benchmark="chain")
    assert (row["start"], row["k"], row["n"], row["avg"], row["truncated"]) == (None, 4, 2, 0.375, 0.5)
    assert row["interval"][0] < 0.375 < row["interval"][1]
    row = only(found["models"], name="format_sft", benchmark="digits")
    assert (row["start"], row["steps"], row["k"], row["n"], row["avg"]) == ("base_small", 12, 2, 4, 0.25)
    row = only(found["models"], name="format_sft", benchmark="average")
    assert (row["k"], row["n"], row["avg"]) == (None, 6, pytest.approx((7 / 8 + 0.25) / 2))
    assert [row["name"] for row in found["models"][::3]] == [*LADDER, "base_large", "distilled", "alpha=0.50"]


def test_pairs_by_hand(found: dict):
    pairs = list(dict.fromkeys((row["a"], row["b"]) for row in found["pairs"]))
    assert set(pairs) == {
        ("format_sft", "base_small"), ("grpo", "format_sft"), ("core", "format_sft"), ("core", "grpo"),
        ("distilled", "base_large"), ("alpha=0.50", "base_large"), ("alpha=0.50", "distilled"),
    }  # fmt: skip
    row = only(found["pairs"], a="format_sft", b="base_small", benchmark="chain")
    assert row["difference"] == 0.5 and row["interval"] == [0.5, 0.5]  # + 2/4 on both questions
    assert row["family"] == "ladder" and row["p"] == pytest.approx(0.5, abs=0.1) and row["p_holm"] == 1.0
    assert row["detectable"] == 0.0  # no spread
    row = only(found["pairs"], a="core", b="grpo", benchmark="average")
    assert row["difference"] == -0.25 and row["interval"] == [-0.25, -0.25]
    # The same verdicts in another order of the file: paired by id, not by row.
    assert only(found["pairs"], a="core", b="format_sft", benchmark="digits")["interval"] == [0, 0]


def test_alphas_by_hand(found: dict):
    rows = [row for row in found["alphas"] if row["benchmark"] == "average"]
    assert [(row["alpha"], row["model"]) for row in rows] == [(0, "distilled"), (0.5, "alpha=0.50"), (1, "base_large")]
    assert [row["avg"] for row in rows] == [0.3125] * 3
    end = only(found["models"], name="distilled", benchmark="chain")
    assert only(found["alphas"], alpha=0, benchmark="chain")["interval"] == end["interval"]


def test_p_values_are_corrected_within_their_family(found: dict):
    """The sweep has one alpha against two ends: the smaller p counts twice."""
    for benchmark in ("chain", "digits", "average"):
        rows = [row for row in found["pairs"] if (row["family"], row["benchmark"]) == ("sweep", benchmark)]
        assert [row["p_holm"] for row in rows] == significance.holm([row["p"] for row in rows]) and len(rows) == 2
        row = only(found["pairs"], family="generalists", benchmark=benchmark)
        assert row["p"] == row["p_holm"]


def measures(found: dict, name: str, benchmark: str) -> dict[str, float]:
    rows = [row for row in found["measures"] if (row["name"], row["benchmark"]) == (name, benchmark)]
    assert all(row["interval"][0] <= row["value"] <= row["interval"][1] for row in rows)
    return {row["measure"]: row["value"] for row in rows}


def test_measures_by_hand(tmp_path: Path):
    """p0: one of four right, one silent, one ungraded; p1: two right. The vote of p1 is tied."""
    run = Run(tmp_path / "one")
    run.model("base_small", "a")
    run.scores("base_small", {"chain": {"p0": "1-?0", "p1": "1100"}}, cut=["p1"], distinct={"p0": 0.25})
    found = make(run, ladder=["base_small"], generalists=[], alphas={}, pass_k=[1, 2, 4])
    assert measures(found, "base_small", "chain") == pytest.approx({
        "truncated": 1 / 2, "no_answer": 1 / 8, "ungraded": 1 / 8, "tokens": 25.0,
        "pass@1": 3 / 8, "pass@2": (1 / 2 + 5 / 6) / 2, "pass@4": 1.0,
        "majority@4": (1 / 3 + 1 / 2) / 2, "distinct 4-grams": 0.25,
    }, abs=1e-6)  # fmt: skip
    assert only(found["measures"], measure="distinct 4-grams")["n"] == 1
    text = (run.folder / "report" / "index.html").read_text()
    assert "of 1 problems" in text
    row = only(found["models"], benchmark="chain")
    assert (row["no_answer"], row["ungraded"], row["tokens"]) == (0.125, 0.125, 25.0)
    # A response has 10, 20, 30, 40 tokens; groups begin at 15 and 35.
    groups = {row["group"]: (row["share"], row["value"]) for row in found["lengths"]}
    assert groups == {"below 15": (0.25, 1.0), "15 to 34": (0.5, 0.25), "from 35": (0.25, 0.0)}
    assert [(row["budget"], row["value"]) for row in found["budgets"]] == [
        (5, 0.0), (10, 0.25), (15, 0.25), (20, 0.375), (25, 0.375), (30, 0.375), (35, 0.375), (40, 0.375),
    ]  # fmt: skip


def test_a_length_without_responses_has_no_accuracy(tmp_path: Path):
    run = Run(tmp_path / "one")
    run.model("base_small", "a")
    run.scores("base_small", {"chain": CHAIN})
    found = make(run, ladder=["base_small"], generalists=[], alphas={}, length_groups=[100])
    assert [(row["share"], row["value"]) for row in found["lengths"]] == [(1.0, 0.375), (0.0, None)]
    assert only(found["lengths"], group="from 100")["interval"] is None


def test_the_hardest_problems_are_not_scored_on_what_chose_them(tmp_path: Path):
    """Samples 0 and 2 choose p1 and p2; the base's samples 1 and 3 are right there, as are all of distilled's."""
    run = Run(tmp_path / "run")
    verdicts = {
        "base_large": {"p0": "1010", "p1": "0101", "p2": "0100", "p3": "1111"},
        "distilled": {"p0": "0000", "p1": "1111", "p2": "1111", "p3": "0000"},
    }
    for name, chain in verdicts.items():
        run.model(name, name)
        run.scores(name, {"chain": chain})
    found = make(run, ladder=["base_large"], generalists=["base_large", "distilled"], alphas={})
    (pool,) = found["hardest"]
    assert (pool["pool"], pool["of"], set(pool["problems"])) == ("chain", 4, {"chain/p1", "chain/p2"})
    chose, others, distilled = pool["rows"]
    assert (chose["samples"], chose["value"], others["samples"], others["value"]) == (
        "those that chose",
        0,
        "the others",
        0.75,
    )
    assert (distilled["value"], distilled["difference"]) == (1.0, 0.25) and 0 < distilled["p"] <= 1


def test_one_sample_cannot_choose_the_hardest(tmp_path: Path):
    run = Run(tmp_path / "run")
    for name in ("base_large", "distilled"):
        run.model(name, name)
        run.scores(name, {"chain": {"p0": "1", "p1": "0", "p2": "0"}})
    settings = {"ladder": ["base_large"], "generalists": ["base_large", "distilled"], "alphas": {}, "pass_k": []}
    assert make(run, **settings)["hardest"] == []
    Page((run.folder / "report" / "index.html").read_text())


def test_another_model_changes_no_interval(tmp_path: Path, found: dict):
    ladder(run := Run(tmp_path / "run"))
    ladder_only = make(run, generalists=[], alphas={})
    assert ladder_only["models"] == found["models"][: len(ladder_only["models"])]
    assert make(run, generalists=[], alphas={}, seed=1)["models"] != ladder_only["models"]
