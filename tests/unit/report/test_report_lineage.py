"""What the report reads of the manifests: ancestors, time, memory, curves, and the plan beside them."""

from pathlib import Path

import pytest

from tests.helpers.report_run import Run
from tests.helpers.reports import CHAIN, DIGITS, Page, ladder, make, only, whole_run


def test_what_the_manifests_tell(run, found: dict):
    changed = {row["name"]: row["weights_changed"] for row in found["checkpoints"]}
    assert changed == dict.fromkeys(["format_sft", "core", "distilled", "alpha=0.50"], True) | {
        "base_small": None, "base_large": None, "grpo": False,
    }  # fmt: skip
    row = only(found["timings"], stage="core")
    assert (row["seconds"], row["max_rss"]) == (61.5, 2048.25)
    written = (path for path in (run.folder / "core").rglob("*") if path.is_file())
    assert row["bytes"] == sum(
        path.stat().st_size for path in written if path.name not in ("checkpoint.json", "benchmark.tsv", "lock")
    )
    assert only(found["timings"], stage="grpo")["max_rss"] is None
    row = only(found["timings"], stage="scores/core")
    assert row["max_rss"] is None and 0 <= row["seconds"] < 60
    row = only(found["lineage"], stage="merged/alpha=0.50")
    assert row["inputs"] == ["base_large", "distilled"] and len(row["settings"]) == 16 and "python" in row["tools"]
    assert only(found["difficulty"], stage="rl_data") == {
        "stage": "rl_data",
        "k": 2,
        "all": [1, 1, 2],
        "kept": [1, 1, 0],
    }
    # A step done twice counts as it was last done; what is no number is left out.
    row = only(found["curves"], stage="core", metric="reward")
    assert (row["steps"], row["values"]) == ([1, 2], [0.6, 0.7])
    assert only(found["curves"], stage="base_small", metric="loss")["steps"] == [1]


def test_evaluations_during_the_training(run: Run, found: dict):
    assert [row for row in found["curves"] if row["metric"] == "avg"] == [
        {"stage": "core", "metric": "avg", "steps": [0, 30], "values": [0.25, 0.5], "benchmark": "chain", "k": 4}
    ]
    page = (run.folder / "report" / "index.html").read_text()
    assert page.count("core: avg@4 on chain") >= 1 and "never picks a reported checkpoint" in page


def test_ancestors_are_found_through_the_manifests(tmp_path: Path):
    """Only core is given: what it came from is in the lineage all the same, upstream first; what is gone is not."""
    ladder(run := Run(tmp_path / "run"))
    run.paths = {flag: [path for path in paths if path.parent.name == "core"] for flag, paths in run.paths.items()}
    (run.folder / "base_small" / "model" / "model.safetensors").unlink()
    found = make(run, ladder=["core"], generalists=[], alphas={})
    assert [row["stage"] for row in found["lineage"]] == ["format_sft", "core", "scores/core"]
    assert [row["inputs"] for row in found["lineage"]][1] == ["format_sft"]
    assert only(found["models"], benchmark="chain")["start"] == "format_sft" and found["pairs"] == []


def test_planned_beside_measured(tmp_path):
    run = whole_run(tmp_path / "run")
    stages = {
        "core": {"jobs": 1, "gpus": 4, "hours": [1.0, 2.0], "bytes": 3e9},
        "scores": {"jobs": 9, "gpus": 0, "hours": [0.0, 0.0], "bytes": 0.0},
        "elsewhere": {"jobs": 1, "gpus": 8, "hours": [0.5, 0.5], "bytes": 1.0},
    }
    found = make(run, planned={"gpu": "H100-80GB", "stages": stages})
    core, scores, elsewhere = found["planned"]
    timed = {row["stage"]: row for row in found["timings"]}
    assert core["hours"] == {"planned": [1.0, 2.0], "measured": pytest.approx(61.5 / 3600)}
    assert core["gpu_hours"] == {"planned": [4.0, 8.0], "measured": pytest.approx(4 * 61.5 / 3600)}
    assert core["bytes"] == {"planned": 3e9, "measured": timed["core"]["bytes"]}
    several = [row for name, row in timed.items() if name.startswith("scores/")]
    assert scores["jobs"] == {"planned": 9, "measured": len(several)} and len(several) > 1
    assert scores["hours"]["planned"] is scores["gpu_hours"]["planned"] is None
    assert scores["bytes"]["measured"] == sum(row["bytes"] for row in several)
    assert (
        elsewhere["jobs"]["measured"] == 0 and elsewhere["hours"]["measured"] is elsewhere["bytes"]["measured"] is None
    )
    text = "".join(Page((run.folder / "report/index.html").read_text()).text.split())
    assert "Plannedandmeasured" in text and "core1of11.00–2.000.024.00–8.000.073.000.00" in text
    lines = (run.folder / "report/report.md").read_text().splitlines()
    assert "| elsewhere | 0 of 1 | 0.50 to 0.50 | – | 4.00 to 4.00 | – | 0.00 | – |" in lines


def test_without_a_plan_nothing_is_said_of_one(run, found):
    assert found["planned"] == [] and "Planned and measured" not in (run.folder / "report/index.html").read_text()


def test_warnings_of_the_alarm_are_on_the_page_as_text(tmp_path: Path):
    run = Run(tmp_path / "run")
    curve = [{"step": step, "accuracy": 0.5, "reward": 0.5, "paid_wrong": step / 10} for step in (1, 2)]
    warned = [{"step": 2, "measure": "paid_wrong", "text": "step 2: 20 % of <b>the reward</b>"}]
    run.model("format_sft", "weights b")
    run.model("core", "weights c", curve, steps=2, warned=warned, start="format_sft")
    for name in ("format_sft", "core"):
        run.scores(name, {"chain": CHAIN, "digits": DIGITS})
    found = make(run, ladder=["format_sft", "core"], generalists=[], alphas={})
    assert found["warnings"] == [{"stage": "core", "step": 2, "text": "step 2: 20 % of <b>the reward</b>"}]
    page = (run.folder / "report" / "index.html").read_text()
    assert "<b>core</b>, step 2: 20 % of &lt;b&gt;the reward" in page and "core: reward of wrong responses" in page
    mark = '<title>step 2: 20 % of &lt;b&gt;the reward&lt;/b&gt;</title><line class="warned"'
    assert page.count(mark) == 2  # in the curve of the rewards, and in that of what was paid to wrong responses
    assert "## Warnings while it trained\n\n- core, step 2: 20 % of " in (run.folder / "report/report.md").read_text()


def test_without_a_warning_the_page_has_none(run: Run, found: dict):
    assert found["warnings"] == []
    assert "Warnings while it trained" not in (run.folder / "report" / "index.html").read_text()
