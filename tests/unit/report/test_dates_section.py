"""What the page and its Markdown say of sets that are newer than a model, and of verdicts without any."""

import re

from tests.helpers.report_run import Run
from tests.helpers.reports import Page, make

WEAK, STRONG = ({f"p{place}": mark * 4 for place in range(12)} for mark in "01")


def test_newer_sets_are_marked_and_verdicts_on_older_ones_named(tmp_path):
    run = Run(tmp_path / "run")
    for name, marks in (("weak", WEAK), ("strong", STRONG)):
        run.model(name, name, folder=f"models/{name}")
        run.scores(name, {"early": marks, "late": marks})
    dated = {"dates": {"early": "2025-02", "late": "2026-02"}, "model_dates": {"strong": "2025-08"}}
    report = make(run, ladder=[], generalists=[], alphas={}, models=["weak", "strong"], **dated)
    assert report["dates"] == [
        {"name": "strong", "date": "2025-08", "newer": ["late"], "seen": ["early"], "unknown": []}
    ]
    assert report["on_seen_sets"] == [{"a": "strong", "b": "weak", "benchmark": "early", "seen_by": ["strong"]}]
    text = Page((run.folder / "report" / "index.html").read_text()).text
    assert (
        len(re.findall("newer set(?![s:])", text)) == 1 and "strong − weak on early\n(strong may have seen it)" in text
    )
    written = (run.folder / "report" / "report.md").read_text()
    assert "| strong | 2025-08 | late | early | – |" in written
    assert "Rest on sets alone that a model may have seen: strong − weak on early (strong)." in written
    # Nothing was trained here, so that no column says from which start.
    assert "| model | benchmark |" in written and "Nothing was trained" in written and "One training" not in text
