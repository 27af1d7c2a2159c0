"""The report over a small run folder made through Stage: numbers by hand, a page that needs nothing else, bad input."""

import html.parser
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from polaris.commands import show
from polaris.evaluation import results, significance, verdicts
from polaris.report import report
from polaris.report.markdown import markdown
from polaris.report.page_charts import budget_charts
from polaris.stage.errors import UserError
from tests.helpers.report_run import Run

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
    validated = [{"step": 0, "avg": 0.25, "seconds": 1.5}, {"step": 30, "avg": 0.5, "seconds": 1.5}]
    run.model("core", "weights c", curve, steps=30, validated=validated, start="format_sft")
    run.scores("base_small", {"chain": CHAIN, "digits": DIGITS}, cut=["p0"])
    run.scores("format_sft", {"chain": BETTER, "digits": DIGITS})
    run.scores("grpo", {"chain": BETTER, "digits": DIGITS})
    run.scores("core", {"digits": dict(reversed(DIGITS.items())), "chain": CHAIN})


def whole_run(folder: Path, kind: type[Run] = Run) -> Run:
    """Ladder, generalists, one merge, difficulty; of two stages Snakemake measured time and memory."""
    run = kind(folder)
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
    """p0: one of four right, one silent, one undecided; p1: two right. The vote of p1 is tied."""
    run = Run(tmp_path / "one")
    run.model("base_small", "a")
    run.scores("base_small", {"chain": {"p0": "1-?0", "p1": "1100"}}, cut=["p1"], distinct={"p0": 0.25})
    found = make(run, ladder=["base_small"], generalists=[], alphas={}, pass_k=[1, 2, 4])
    assert measures(found, "base_small", "chain") == pytest.approx({
        "truncated": 1 / 2, "no_answer": 1 / 8, "undecided": 1 / 8, "tokens": 25.0,
        "pass@1": 3 / 8, "pass@2": (1 / 2 + 5 / 6) / 2, "pass@4": 1.0,
        "majority@4": (1 / 3 + 1 / 2) / 2, "distinct 4-grams": 0.25,
    }, abs=1e-6)  # fmt: skip
    assert only(found["measures"], measure="distinct 4-grams")["n"] == 1
    text = (run.folder / "report" / "index.html").read_text()
    assert "of 1 problems" in text
    row = only(found["models"], benchmark="chain")
    assert (row["no_answer"], row["undecided"], row["tokens"]) == (0.125, 0.125, 25.0)
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
    show.main(["--run", str(run.folder)])
    assert re.search(r"^alpha=0\.50 +37\.5 \[.*\] +−50\.0 \[", capsys.readouterr().out, re.MULTILINE)


def test_a_model_asked_otherwise_is_beside_all_others(tmp_path: Path, capsys):
    """Scores, a difference and a curve of its own, p in a family of its own; no other number and no alpha changes."""
    run = whole_run(tmp_path / "small")
    alone = make(run)
    for name in ("grpo@yarn", "distilled@yarn"):
        run.scores(name, {"chain": BETTER, "digits": DIGITS})
    (run.folder / "report" / "data.json").unlink()
    also = {
        f"{of}@yarn": {"of": of, "told": "engine.yarn factor 2.0, original 8 instead of none"}
        for of in ("grpo", "distilled")
    }
    found = make(run, also=also, dates={"chain": "2025-02"})
    for text in ((run.folder / "report/index.html").read_text(), markdown(found)):
        assert "Published: chain 2025-02;" in " ".join(text.split())
    further = [row for row in found["pairs"] if row["family"] == "asked otherwise"]
    assert [row for row in found["pairs"] if row not in further] == alone["pairs"]
    assert [row for row in found["models"] if "@" not in row["name"]] == alone["models"]
    for part in ("alphas", "choice", "claims", "checkpoints", "hardest"):
        assert found[part] == alone[part], part
    mine = [row for row in further if row["benchmark"] == "chain"]
    score = {row["name"]: row["avg"] for row in found["models"] if row["benchmark"] == "chain"}
    assert {(row["a"], row["b"]): row["difference"] for row in mine} == {
        (f"{of}@yarn", of): pytest.approx(score[f"{of}@yarn"] - score[of]) for of in ("grpo", "distilled")
    }
    assert [row["p_holm"] for row in mine] == significance.holm([row["p"] for row in mine])
    assert {row["name"] for row in found["budgets"]} >= also.keys()
    drawn = [title for title, _ in budget_charts(found)]
    assert drawn == ["chain: specialist", "chain: generalist", "chain: grpo", "chain: distilled",
                     "digits: specialist", "digits: generalist", "digits: grpo", "digits: distilled"]  # fmt: skip
    text = " ".join(Page((run.folder / "report" / "index.html").read_text()).text.split())
    assert "grpo@yarn: engine.yarn factor 2.0, original 8 instead of none." in text
    assert "| asked otherwise | grpo@yarn − grpo | chain |" in markdown(found)
    show.main(["--run", str(run.folder)])
    printed = capsys.readouterr().out
    assert re.search(
        r"The same models, asked otherwise\n\nchain: .*\nmodel +score +to the model\n.*\ngrpo@yarn +", printed
    )


def test_a_pass_at_k_above_the_samples_is_refused(tmp_path: Path):
    ladder(run := Run(tmp_path / "run"))
    message = r"report.pass_k: pass@3 needs as many samples of each problem; base_small has 2 on digits"
    with pytest.raises(UserError, match=message):
        make(run, generalists=[], alphas={}, pass_k=[2, 3])
    with pytest.raises(UserError, match="there are none on odd, on which alpha is selected"):
        make(run, generalists=[], alphas={}, select_on=["odd"])


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
        "Supervised training. No difference shown: format_sft against base_small (+25.0 [+25.0, +25.0], p 1.00)" in text
    )
    assert "Merge and transfer. No conclusion, for want of a control: merged." in text
    assert re.search(
        r"format_sft − base_small chain \+50\.0 \[\+50\.0, \+50\.0\] 0\.\d+ ?1\.00 – no difference shown", text
    )
    assert "The weights of grpo are those of a model that it was made from." in text
    assert "improved" not in text
    # Scores, differences, alphas; budgets, hardest; rewards, validation, losses, data, time.
    assert source.count("<svg") == 3 + 3 + 3 + 4 + 3 + 2 + 1 + 2 + 1 + 1
    assert "Regression to the mean" in text and "not to be compared" in text


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
    show.main(["--run", str(run.folder)])
    printed = capsys.readouterr().out
    assert "Specialist" in printed and "Generalist" not in printed


def test_show_prints_both_tables(run: Run, capsys):
    show.main(["--run", str(run.folder)])
    out = capsys.readouterr().out
    assert re.search(r"^chain: 2 questions x 4\nmodel ", out, re.MULTILINE)
    assert re.search(r"^format_sft +base_small +87\.5 \[.*\] +\+50\.0 \[\+50\.0, \+50\.0\]$", out, re.MULTILINE)
    assert "core against grpo: chain −50.0 [−50.0, −50.0], digits 0.0 [0.0, 0.0], mean −25.0 [−25.0, −25.0]" in out
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
    for name, given in (("base_small", {"chain": CHAIN, "digits": DIGITS}), ("format_sft", scores)):
        run.model(name, name)
        run.scores(name, given)
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
    "interval, p, words",
    [((0.1, 0.2), 0.01, "higher"), ((-0.2, -0.1), 0.05, "lower"), ((-0.1, 0.1), 0.01, "no difference shown"),
     ((0.0, 0.1), 0.01, "no difference shown"), ((0.1, 0.2), 0.06, "no difference shown")],
)  # fmt: skip
def test_verdict(interval: tuple[float, float], p: float, words: str):
    assert results.verdict({"interval": interval, "p_holm": p}, 0.95) == words


def test_spelling_of_numbers():
    assert [results.percent(0.58906), results.points(0.0431), results.points(-0.0431)] == ["58.9", "+4.3", "−4.3"]
    assert results.points(-0.0004) == results.points(0.0004) == "0.0"
    assert results.span([0.561, 0.627]) == "[56.1, 62.7]"


def columns(**changed: list) -> dict[str, np.ndarray]:
    """Columns of two problems, b and a, with two samples each, out of order."""
    given = {"problem_id": ["b", "a", "b", "a"], "sample": [1, 0, 0, 1], "correct": [True, False, False, True]}
    given |= {"tokens": [9, 8, 7, 6], "finish_reason": ["length", "stop", "stop", "stop"]}
    given |= {"reason": ["exact", "no_answer", "timeout", "exact"], "answer": ["5.0", None, "7", "7."]} | changed
    return {name: np.array(values, dtype=object if name == "answer" else None) for name, values in given.items()}


def test_rows_in_any_order_give_the_same_table():
    table = verdicts.tabulate("here", columns(), {"a": 0.5, "b": None})
    assert table.problems == ("a", "b") and table.samples == 2
    assert table.correct_PG.tolist() == [[False, True], [False, True]]
    assert table.tokens_PG.tolist() == [[8, 6], [7, 9]]
    assert table.cut_PG.tolist() == [[False, False], [False, True]]
    assert table.silent_PG.tolist() == [[True, False], [False, False]]
    assert table.undecided_PG.tolist() == [[False, False], [True, False]]
    assert table.vote_PG[0, 0] == -1 and table.vote_PG[0, 1] == table.vote_PG[1, 0] != table.vote_PG[1, 1]  # 7. is 7
    assert table.distinct_P[0] == 0.5 and np.isnan(table.distinct_P[1])


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
