"""index.html and report.md: the numbers of results.json, and nothing fetched from elsewhere."""

import re
from pathlib import Path

from polaris.commands import show
from tests.helpers.report_run import Run
from tests.helpers.reports import CHAIN, LADDER, Page, ladder, make


def test_markdown_has_the_numbers_of_the_page(run: Run, found: dict):
    text = (run.folder / "report" / "report.md").read_text()
    assert "| format_sft | base_small | chain | 2 x 4 | 87.5 [" in text
    assert re.search(
        r"\| ladder \| format_sft − base_small \| chain \| \+50\.0 \[\+50\.0, \+50\.0\] \| 0\.\d+ \| 1\.00 \|", text
    )
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")
    rows = [line for line in text.splitlines() if line.startswith("| base_small |")]
    assert len({row.count("|") for row in rows}) <= 3  # one width per table


def test_the_page_needs_nothing_else(run: Run):
    source = (run.folder / "report" / "index.html").read_text()
    page = Page(source)
    assert page.open == [] and page.fetched == []
    assert not re.search(r"url\(|@import", source)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", source)
    text = " ".join(page.text.split())
    assert "Run small <&>" in text and "small <&>" not in source  # escaped
    for name in [*LADDER, "base_large", "distilled", "alpha=0.50", "chain", "digits", "rl_data"]:
        assert name in text
    assert (
        "Supervised training. No difference shown: format_sft against base_small (+25.0 [+25.0, +25.0], p 1.00)" in text
    )
    assert "Merge and transfer. No conclusion, for want of a control: merged." in text
    assert re.search(
        r"format_sft − base_small chain \+50\.0 \[\+50\.0, \+50\.0\] 0\.\d+ ?1\.00 – no difference shown", text
    )
    assert "The weights of grpo are those of a model that it was made from." in text
    assert "improved" not in text
    # Scores, differences, alphas; the front; budgets, hardest; rewards, validation, losses, data, time.
    assert source.count("<svg") == 3 + 3 + 3 + 1 + 4 + 3 + 2 + 1 + 2 + 1 + 1
    assert "Regression to the mean" in text and "do not compare" in text


def test_one_benchmark_has_no_mean_on_the_page(tmp_path: Path):
    run = Run(tmp_path / "one")
    run.model("base_small", "a")
    run.scores("base_small", {"chain": CHAIN})
    found = make(run, ladder=["base_small"], generalists=[], alphas={})
    assert [row["benchmark"] for row in found["models"]] == ["chain", "average"] and found["pairs"] == []
    Page((run.folder / "report" / "index.html").read_text())


def test_a_run_without_a_generalist(tmp_path: Path, capsys):
    """No part of the page, of results.json or of the tables speaks of one."""
    run = Run(tmp_path / "small")
    ladder(run)
    found = make(run, generalists=[], alphas={})
    assert found["alphas"] == [] and {row["name"] for row in found["models"]} == set(LADDER)
    text = (run.folder / "report" / "index.html").read_text()
    assert [row["name"] for row in found["hardest"][0]["rows"]] == ["base_small", *LADDER]  # its two halves, the others
    assert "The hardest problems of base_small" in text
    assert "eneralist" not in text and "large" not in text and "The specialist" in text
    show.main(run.folder)
    printed = capsys.readouterr().out
    assert "Specialist" in printed and "Generalist" not in printed
