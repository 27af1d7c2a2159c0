"""The section about what CORE paid for: its numbers on the page and in Markdown, and texts that stay texts."""

import json

import pytest

from polaris.report import paid
from polaris.report.markdown import markdown
from polaris.report.page import page

STAGE = "core <b>&"


def reward(name: str, **changes: object) -> dict:
    numbers = {"signal": 0.75, "unsolved_signal": 0.5, "paid": 0.8, "process": 0.25, "to_wrong": 0.125}
    curves = {"signal_S": [0.5, 1.0], "process_S": [0.2, 0.3]}
    return {"name": name, **numbers, "correlation": 0.987, "same": 8, "rollouts": 8, **curves} | changes


@pytest.fixture
def stage() -> dict:
    outcome = reward("no process reward", signal=0.625, paid=0.0, process=0.0, to_wrong=0.0, process_S=[0.0, 0.0])
    outcome |= {"unsolved_signal": None, "correlation": None}
    part = {"correct-correct": 0.8, "correct-incorrect": 0.3, "incorrect-incorrect": None, "pairs": 0.9, "sets": None}
    return {
        "stage": STAGE,
        "rewards": [reward("as recorded", correlation=1.0), outcome, reward("cap <1>")],
        "steps": [1, 2],
        "separation": [part, part | {"pairs": None}],
        "quarters": [{"first": 1, "last": 2, **part}],
        "missing": ["step_000003.parquet: cut <i>; what follows it is left out"],
    }


def test_numbers_and_words(stage):
    assert paid.summary(stage) == (
        "75.0 % of the groups had a signal, 62.5 % without the process reward; 80.0 % of the wrong responses were "
        "paid, 0.25 on average, which is 12.5 % of all that was paid."
    )
    assert paid.cells(stage["rewards"][1]) == ["62.5 %", "–", "0.0 %", "0.000", "0.0 %", "–"]
    assert paid.separation(stage) == [["1 to 2", "0.80", "0.30", "–", "90.0 %", "–"]]
    titles = [title for title, _ in paid.pictures(stage)]
    assert titles == ["Groups with signal", "What a wrong response earns", "Do the results tell right from wrong?"]


def test_the_page_and_markdown_show_it_as_text(found, stage):
    report = json.loads(json.dumps(found)) | {"paid": [stage]}
    shown = page(report)
    assert "What CORE paid for" in shown and "core &lt;b&gt;&amp;" in shown and STAGE not in shown
    assert "cap &lt;1&gt;" in shown and "cut &lt;i&gt;" in shown
    text = markdown(report)
    assert "## What CORE paid for" in text and "| as recorded | 75.0 % | 50.0 % |" in text and "<b>" not in text
    unread = {
        "stage": "core",
        "missing": ["no store"],
        **{name: [] for name in ("rewards", "steps", "separation", "quarters")},
    }
    report["paid"] = [unread]
    assert "no store" in page(report) and "no store" in markdown(report)
    assert "What CORE paid for" not in page(found) + markdown(found)  # a run without such a stage
