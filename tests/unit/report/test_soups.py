"""Averages of several distilled models in the report: rows, choice, comparisons, claims, page, Markdown."""

import pytest

from polaris.commands import show
from tests.helpers.report_run import Run
from tests.helpers.reports import BETTER, CHAIN, DIGITS, Page, make, only, whole_run

POINTS = {
    "0.00_0.00_1.00": "opd",
    "0.00_0.50_0.50": "soup=0.00_0.50_0.50",
    "0.50_0.25_0.25": "soup=0.50_0.25_0.25",
    "0.50_0.50_0.00": "alpha=0.50",
    "1.00_0.00_0.00": "base_large",
}
MADE = ["soup=0.00_0.50_0.50", "soup=0.50_0.25_0.25"]
SOUP = {"models": ["base_large", "distilled", "opd"], "points": POINTS, "made": MADE, "selected": None}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run of the other tests with an OPD student and two averages; on chain the second is right most often."""
    run = whole_run(tmp_path_factory.mktemp("runs") / "soup")
    run.model("opd", "weights g", start="base_large")
    for number, name in enumerate(MADE):
        run.model(name, f"weights s{number}", folder=f"merged/{name}", base="base_large", distilled="distilled")
    for name, chain in (("opd", CHAIN), (MADE[0], CHAIN), (MADE[1], BETTER)):
        run.scores(name, {"chain": chain, "digits": DIGITS})
    return run


def report_of(run: Run, **settings) -> dict:
    return make(run, **{"models": ["opd"], "soup": SOUP, "select_on": ["chain"]} | settings)


def test_rows_and_choice(run):
    found = report_of(run)
    assert [row["model"] for row in found["soups"] if row["benchmark"] == "chain"] == list(POINTS.values())
    row = only(found["soups"], model=MADE[1], benchmark="chain")
    assert row["shares"] == [0.5, 0.25, 0.25]
    assert row["avg"] == only(found["models"], name=MADE[1], benchmark="chain")["avg"] == 0.875
    choice = found["soup_choice"]
    assert (choice["best"], choice["model"], choice["on_reported"]) == ("0.50_0.25_0.25", MADE[1], False)
    assert "digits" in found["headline"] and found["headline"] == ["digits"]


def test_each_average_is_compared_with_all_of_its_models_and_claimed_against_them(run):
    found = report_of(run)
    pairs = {(row["a"], row["b"]) for row in found["pairs"] if row["family"] == "soup"}
    assert pairs == {(a, b) for a in MADE for b in SOUP["models"]}
    claims = [row for row in found["claims"] if row["about"] == "merge of several"]
    assert [(row["a"], row["b"]) for row in claims] == [(MADE[1], part) for part in SOUP["models"]]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"soup": SOUP | {"selected": "0.00_0.00_1.00"}}, "is one of the models alone: this is no average"),
        (
            {"select_on": [], "soup": SOUP | {"selected": "0.50_0.25_0.25"}},
            "its point was chosen on reported questions",
        ),
        ({"select_on": []}, "no point was chosen"),
    ],
)
def test_no_conclusion_without_a_choice_elsewhere(run, settings, said):
    (claim,) = [row for row in report_of(run, **settings)["claims"] if row["about"] == "merge of several"]
    assert claim["b"] is None and said in claim["explanation"]


def test_page_markdown_and_terminal_show_them(run):
    found = report_of(run)
    page = Page((run.folder / "report/index.html").read_text())
    assert "Several distilled models in one" in page.text and "base_large, distilled, opd" in page.text
    assert "0.50_0.25_0.25 was chosen on chain" in " ".join(page.text.split())
    text = (run.folder / "report/report.md").read_text().replace("\\", "")
    assert "Shares of base_large, distilled, opd: 0.50_0.25_0.25 was chosen on chain" in text
    lines = "\n".join(show.lines(found))
    assert "Averages of base_large, distilled, opd, their shares in this order" in lines and MADE[1] in lines


def test_without_them_a_report_has_none(run):
    settings = {"soup": None, "models": ["opd", *MADE]}
    found = report_of(run, **settings)
    assert found["soups"] == [] and found["soup_choice"] is None and "soup" not in found["settings"]
    assert "Several distilled models" not in (run.folder / "report/index.html").read_text()
