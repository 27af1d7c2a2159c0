"""What stands beside the main comparison: the choice of alpha, self-distillation, extra evaluations."""

import re
from pathlib import Path

import pytest

from polaris.commands import show
from polaris.evaluation import significance
from polaris.report.markdown import markdown
from polaris.report.page_charts import budget_charts
from tests.helpers.report_run import Run
from tests.helpers.reports import BETTER, CHAIN, DIGITS, Page, ladder, make, only, whole_run


def chosen(tmp_path: Path, **settings: object) -> tuple[dict, str]:
    """Two alphas: 0.30 is best on digits, 0.50 on chain."""
    run = Run(tmp_path / "run")
    ladder(run)
    scores = {
        "base_large": (CHAIN, DIGITS),
        "distilled": (CHAIN, DIGITS),
        "alpha=0.30": (CHAIN, dict.fromkeys(DIGITS, "11")),
    }
    for name, (chain, digits) in (scores | {"alpha=0.50": (BETTER, DIGITS)}).items():
        run.model(name, name, folder=f"merged/{name}" if "=" in name else "")
        run.scores(name, {"chain": chain, "digits": digits})
    alphas = {"0.00": "distilled", "0.30": "alpha=0.30", "0.50": "alpha=0.50", "1.00": "base_large"}
    found = make(run, alphas=alphas, **settings)
    assert (run.folder / "report" / "report.md").read_text() == markdown(found)
    page = Page((run.folder / "report" / "index.html").read_text())
    return found, " ".join(page.text.split())


def test_alpha_is_chosen_on_what_is_not_reported(tmp_path: Path):
    found, text = chosen(tmp_path, select_on=["digits"])
    assert found["choice"] == {
        "select_on": ["digits"], "best": "0.30", "selected": None, "model": "alpha=0.30", "on_reported": False,
    }  # fmt: skip
    assert found["headline"] == ["chain"] and found["benchmarks"] == ["chain", "digits"]
    row = only(found["models"], name="alpha=0.30", benchmark="average")
    assert row["avg"] == 0.375 and row["n"] == 2  # of chain alone
    assert "Alpha 0.30 was chosen on digits" in text and "alpha is chosen here" in text
    assert re.search(
        r"On the headline sets it is, to base_large: chain 0\.0 \[0\.0, 0\.0\], p 1\.00, and to distilled: chain", text
    )
    assert {pool["pool"] for pool in found["hardest"]} == {"chain"}


def test_a_choice_on_a_reported_set_is_marked(tmp_path: Path):
    found, text = chosen(tmp_path, selected="0.50")
    assert found["choice"]["on_reported"] and found["choice"]["model"] == "alpha=0.50"
    assert "Alpha 0.50 was chosen on a reported set" in text and "chosen on a reported set" in markdown(found)


def test_self_distillation_stands_beside_the_recipes_arm(tmp_path: Path, capsys):
    """Its scores, its curve, and at each alpha the recipe's model against it; no number of the recipe's arm changes."""
    run = whole_run(tmp_path / "small")
    alone = make(run)
    run.model("distilled_self", "weights g", steps=7, start="base_large")
    run.model("alpha=0.50", "weights h", folder="merged_self/alpha=0.50", base="base_large", distilled="distilled_self")
    for name in ("distilled_self", "alpha=0.50_self"):
        run.scores(name, {"chain": BETTER, "digits": DIGITS})
    (run.folder / "report" / "data.json").unlink()
    own = {"0.00": "distilled_self", "0.50": "alpha=0.50_self", "1.00": "base_large"}
    found = make(run, self_distillation={"distilled": "distilled_self", "alphas": own})
    assert [row for row in found["pairs"] if row["family"] != "self-distillation"] == alone["pairs"]
    assert found["models"][: len(alone["models"])] == alone["models"] and found["alphas"] == alone["alphas"]
    assert [(row["model"], row["avg"]) for row in found["own_alphas"] if row["benchmark"] == "chain"] == [
        ("distilled_self", 0.875), ("alpha=0.50_self", 0.875), ("base_large", 0.375),
    ]  # fmt: skip
    mine = [row for row in found["pairs"] if (row["family"], row["benchmark"]) == ("self-distillation", "chain")]
    assert {(row["a"], row["b"]): row["difference"] for row in mine} == {
        ("distilled_self", "base_large"): 0.5, ("distilled", "distilled_self"): -0.5,
        ("alpha=0.50_self", "base_large"): 0.5,
        ("alpha=0.50_self", "distilled_self"): 0.0, ("alpha=0.50", "alpha=0.50_self"): -0.5,
    }  # fmt: skip
    assert [row["p_holm"] for row in mine] == significance.holm([row["p"] for row in mine])
    text = " ".join(Page((run.folder / "report" / "index.html").read_text()).text.split())
    assert "distilled against distilled_self, alpha=0.50 against alpha=0.50_self" in text
    assert "this run did not try it" not in text and "alpha=0.50_self" in markdown(found)
    show.main(run.folder)
    assert re.search(r"^alpha=0\.50 +37\.5 \[.*\] +−50\.0 \[", capsys.readouterr().out, re.MULTILINE)


def test_a_model_asked_otherwise_is_beside_all_others(tmp_path: Path, capsys):
    """Scores, a difference and a curve of its own, p in a family of its own; no other number and no alpha changes."""
    run = whole_run(tmp_path / "small")
    alone = make(run)
    for name in ("grpo@yarn", "distilled@yarn"):
        run.scores(name, {"chain": BETTER, "digits": DIGITS})
    (run.folder / "report" / "data.json").unlink()
    given = {f"{of}@yarn": "engine.yarn factor 2.0, original 8 instead of none" for of in ("grpo", "distilled")}
    found = make(run, extra_evaluations=given, dates={"chain": "2025-02"})
    for text in ((run.folder / "report/index.html").read_text(), markdown(found)):
        assert "Published: chain 2025-02;" in " ".join(text.split())
    extra = [row for row in found["pairs"] if row["family"] == "extra evaluations"]
    assert [row for row in found["pairs"] if row not in extra] == alone["pairs"]
    assert [row for row in found["models"] if "@" not in row["name"]] == alone["models"]
    for part in ("alphas", "choice", "claims", "checkpoints", "hardest"):
        assert found[part] == alone[part], part
    mine = [row for row in extra if row["benchmark"] == "chain"]
    score = {row["name"]: row["avg"] for row in found["models"] if row["benchmark"] == "chain"}
    assert {(row["a"], row["b"]): row["difference"] for row in mine} == {
        (f"{of}@yarn", of): pytest.approx(score[f"{of}@yarn"] - score[of]) for of in ("grpo", "distilled")
    }
    assert [row["p_holm"] for row in mine] == significance.holm([row["p"] for row in mine])
    assert {row["name"] for row in found["budgets"]} >= given.keys()
    drawn = [title for title, _ in budget_charts(found)]
    assert drawn == ["chain: specialist", "chain: generalist", "chain: grpo", "chain: distilled",
                     "digits: specialist", "digits: generalist", "digits: grpo", "digits: distilled"]  # fmt: skip
    text = " ".join(Page((run.folder / "report" / "index.html").read_text()).text.split())
    assert "grpo@yarn: engine.yarn factor 2.0, original 8 instead of none." in text
    assert "| extra evaluations | grpo@yarn − grpo | chain |" in markdown(found)
    show.main(run.folder)
    printed = capsys.readouterr().out
    assert re.search(
        r"Extra evaluations of the same models\n\nchain: .*\nmodel +score +to the model\n.*\ngrpo@yarn +", printed
    )
