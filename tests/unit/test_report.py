"""The report over a small run folder made through Stage: numbers by hand, a page that needs nothing else, bad input."""

import html.parser
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from polaris import report, results, show
from polaris.errors import UserError
from tests.unit.report_run import Run

LADDER = ["base_small", "format_sft", "grpo", "core"]
ALPHAS = {"0.00": "distilled", "0.50": "alpha=0.50", "1.00": "base_large"}
SETTINGS = {"ladder": LADDER, "generalists": ["base_large", "distilled"], "alphas": ALPHAS}

# Right responses per problem. base_small: chain 3/8, digits 2/8.
CHAIN = {"p0": "1000", "p1": "1100"}
DIGITS = {"d0": "10", "d1": "00", "d2": "01", "d3": "00"}
BETTER = {"p0": "1110", "p1": "1111"}


def ladder(run: Run) -> None:
    """Four small models: core holds other weights than its start, grpo (by mistake) the same."""
    curve = [{"step": step, "accuracy": 0.5, "reward": 0.5 + 0.1 * step} for step in (1, 2, 2)]
    curve[1]["accuracy"] = float("nan")
    run.model("base_small", "weights a", [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}])
    run.model("format_sft", "weights b", [{"step": 1, "loss": 1.5}], steps=12, start="base_small")
    run.model("grpo", "weights b", curve, steps=30, start="format_sft")
    run.model("core", "weights c", curve, steps=30, start="format_sft")
    run.scores("base_small", {"chain": CHAIN, "digits": DIGITS}, cut=["p0"])
    run.scores("format_sft", {"chain": BETTER, "digits": DIGITS})
    run.scores("grpo", {"chain": BETTER, "digits": DIGITS})
    run.scores("core", {"digits": dict(reversed(DIGITS.items())), "chain": CHAIN})


def whole_run(folder: Path) -> Run:
    """Ladder, generalists, one merge, difficulty; of two stages Snakemake measured time and memory."""
    run = Run(folder)
    ladder(run)
    run.model("base_large", "weights d")
    run.model("distilled", "weights e", steps=7, start="base_large")
    run.model("alpha=0.50", "weights f", folder="merged/alpha=0.50", base="base_large", distilled="distilled")
    for name in ("base_large", "distilled", "alpha=0.50"):
        run.scores(name, {"chain": CHAIN, "digits": DIGITS})
    run.difficulty("rl_data", [0, 1, 2, 2], 2, [True, True, False, False])
    timed = run.folder / "core" / "benchmark.tsv"
    timed.write_text("s\th:m:s\tmax_rss\n61.5\t0:01:01\t2048.25\n")
    (run.folder / "grpo" / "benchmark.tsv").write_text("s\th:m:s\tmax_rss\n7.5\t0:00:07\t-\n")
    return run


def make(run: Run, **settings: object) -> dict:
    """results.json, after the verb's main."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["report", *run.arguments(**(SETTINGS | settings))])
        report.main()
    return json.loads((run.folder / "report" / "results.json").read_text())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with its report, only to be looked at."""
    run = whole_run(tmp_path_factory.mktemp("runs") / "small <&>")
    make(run)
    return run


@pytest.fixture(scope="module")
def found(run: Run) -> dict:
    """Its results.json."""
    return json.loads((run.folder / "report" / "results.json").read_text())


def only(rows: list[dict], **wanted: object) -> dict:
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


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
    assert pairs == [
        ("format_sft", "base_small"), ("grpo", "format_sft"), ("core", "format_sft"), ("core", "grpo"),
        ("distilled", "base_large"), ("alpha=0.50", "base_large"), ("alpha=0.50", "distilled"),
    ]  # fmt: skip
    row = only(found["pairs"], a="format_sft", b="base_small", benchmark="chain")
    assert row["difference"] == 0.5 and row["interval"] == [0.5, 0.5]  # + 2/4 on both questions
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


def test_what_the_manifests_tell(found: dict):
    changed = {row["name"]: row["weights_changed"] for row in found["checkpoints"]}
    assert changed == dict.fromkeys(["format_sft", "core", "distilled", "alpha=0.50"], True) | {
        "base_small": None, "base_large": None, "grpo": False,
    }  # fmt: skip
    row = only(found["timings"], stage="core")
    assert (row["seconds"], row["max_rss"]) == (61.5, 2048.25)
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


def test_ancestors_are_found_through_the_manifests(tmp_path: Path):
    """Only core is given: what it came from is in the lineage all the same, upstream first; what is gone is not."""
    ladder(run := Run(tmp_path / "run"))
    run.paths = {flag: [path for path in paths if path.parent.name == "core"] for flag, paths in run.paths.items()}
    (run.folder / "base_small" / "model" / "model.safetensors").unlink()
    found = make(run, ladder=["core"], generalists=[], alphas={})
    assert [row["stage"] for row in found["lineage"]] == ["format_sft", "core", "scores/core"]
    assert [row["inputs"] for row in found["lineage"]][1] == ["format_sft"]
    assert only(found["models"], benchmark="chain")["start"] == "format_sft" and found["pairs"] == []


def test_another_model_changes_no_interval(tmp_path: Path, found: dict):
    ladder(run := Run(tmp_path / "run"))
    ladder_only = make(run, generalists=[], alphas={})
    assert ladder_only["models"] == found["models"][: len(ladder_only["models"])]
    assert make(run, generalists=[], alphas={}, seed=1)["models"] != ladder_only["models"]


class Page(html.parser.HTMLParser):
    """Open tags, everything that could be fetched, visible text."""

    VOID = frozenset({"meta", "br", "link", "img", "hr", "input"})

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.fetched += [f"{tag} {key}={value}" for key, value in attrs if key in ("src", "href", "srcset", "data")]
        self.fetched += [tag] if tag in ("script", "link", "iframe", "object", "image", "use") else []
        if tag not in self.VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


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
        "format_sft against base_small: chain higher by 50.0 points [+50.0, +50.0]; digits no difference shown" in text
    )
    assert "The weights of grpo are those of a model that it was made from." in text
    assert "improved" not in text
    assert source.count("<svg") == 3 + 3 + 3 + 2 + 2 + 1 + 1  # scores, differences, alphas, rewards, losses, data, time


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
    assert "eneralist" not in text and "large" not in text and "The specialist" in text
    show.main(["--run", str(run.folder)])
    printed = capsys.readouterr().out
    assert "Specialist" in printed and "Generalist" not in printed


def test_show_prints_both_tables(run: Run, capsys):
    show.main(["--run", str(run.folder)])
    out = capsys.readouterr().out
    assert re.search(r"^chain: 2 questions x 4\nmodel ", out, re.MULTILINE)
    assert re.search(r"^format_sft +base_small +87\.5 \[.*\] +\+50\.0 \[\+50\.0, \+50\.0\]\*$", out, re.MULTILINE)
    assert "core against grpo: chain −50.0 [−50.0, −50.0]*, digits 0.0 [0.0, 0.0], mean −25.0 [−25.0, −25.0]*" in out
    assert re.search(r"^alpha=0\.50 +37\.5 \[.*\] +0\.0 \[0\.0, 0\.0\] +0\.0 \[0\.0, 0\.0\]$", out, re.MULTILINE)
    assert out.rstrip().endswith(str(run.folder / "report" / "index.html"))
    assert max(map(len, out.splitlines()[:-1])) <= 100


def test_show_without_a_report(tmp_path: Path):
    with pytest.raises(UserError, match="report/data.json: there is no such manifest"):
        show.main(["--run", str(tmp_path)])


WITH_GAP = {"p0": "1 00", "p1": "1100"}  # sample 1 of p0 is missing


@pytest.mark.parametrize(
    "scores, message",
    [
        ({"chain": {"p0": "100", "p1": "1100"}, "digits": DIGITS}, "chain: problem p0 has 3 samples, others have 4"),
        ({"chain": WITH_GAP, "digits": DIGITS}, "chain: problem p0 has 3 samples, others have 4"),
        ({"chain": {"p0": "1 00", "p1": "1 00"}, "digits": DIGITS}, "problem p0: its samples are not 0 to 2"),
        ({"chain": {"p0": "1000"}, "digits": DIGITS}, "chain: it has 1 problem"),
        ({"chain": CHAIN | {"p2": "1111"}, "digits": DIGITS}, "scores of base_small: benchmark chain lacks problem p2"),
        (
            {"chain": {"p0": "1000", "p9": "1111"}, "digits": DIGITS},
            "scores of format_sft: benchmark chain lacks problem p1",
        ),
        ({"chain": CHAIN}, "scores of format_sft: benchmark digits is missing"),
        ({"chain": CHAIN, "digits": DIGITS, "odd": CHAIN}, "scores of base_small: benchmark odd is missing"),
        ({}, "there is no verdict in it"),
    ],
)
def test_incomplete_scores_are_refused(tmp_path: Path, scores: dict, message: str):
    run = Run(tmp_path / "run")
    for name, verdicts in (("base_small", {"chain": CHAIN, "digits": DIGITS}), ("format_sft", scores)):
        run.model(name, name)
        run.scores(name, verdicts)
    with pytest.raises(UserError, match=message):
        make(run, ladder=["base_small", "format_sft"], generalists=[], alphas={})
    assert not (run.folder / "report" / "data.json").exists()


def test_models_that_do_not_fit_the_settings_are_refused(tmp_path: Path):
    ladder(run := Run(tmp_path / "run"))
    few = {"generalists": [], "alphas": {}}
    with pytest.raises(UserError, match="there are none of core_filtered, which"):
        make(run, ladder=[*LADDER, "core_filtered"], **few)
    with pytest.raises(UserError, match="core is named by neither"):
        make(run, ladder=LADDER[:3], **few)
    run.paths["checkpoints"] = run.paths["checkpoints"][1:]
    with pytest.raises(UserError, match="--checkpoints: there is none of base_small"):
        make(run, ladder=LADDER, **few)


def test_a_broken_curve_names_its_line(tmp_path: Path):
    run = Run(tmp_path / "run")
    run.model("base_small", "a", [{"step": 1, "loss": 1.0}, {"loss": 2.0}])
    run.scores("base_small", {"chain": CHAIN})
    with pytest.raises(UserError, match=r"metrics.jsonl: line 2 is no metrics of a step"):
        make(run, ladder=["base_small"], generalists=[], alphas={})


@pytest.mark.parametrize(
    "interval, words",
    [((0.1, 0.2), "higher"), ((-0.2, -0.1), "lower"), ((-0.1, 0.1), "no difference shown"),
     ((0.0, 0.1), "no difference shown"), ((-0.1, 0.0), "no difference shown")],
)  # fmt: skip
def test_verdict(interval: tuple[float, float], words: str):
    assert results.verdict(interval) == words


def test_spelling_of_numbers():
    assert [results.percent(0.58906), results.points(0.0431), results.points(-0.0431)] == ["58.9", "+4.3", "−4.3"]
    assert results.points(-0.0004) == results.points(0.0004) == "0.0"
    assert results.span([0.561, 0.627]) == "[56.1, 62.7]"


def test_rows_in_any_order_give_the_same_table():
    problem, sample = np.array(["b", "a", "b", "a"]), np.array([1, 0, 0, 1])
    correct, cut = np.array([True, False, False, True]), np.array([True, False, False, False])
    table = results.tabulate("here", problem, sample, correct, cut)
    assert table.problems == ("a", "b") and table.truncated == 0.25
    assert table.correct_PG.tolist() == [[False, True], [False, True]]
