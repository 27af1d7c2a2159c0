"""Runs with scores that can be worked out by hand, their report, and a reader of its page."""

import html.parser
import json
import sys
from pathlib import Path

import pytest

from polaris.report import report
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


def only(rows: list[dict], **wanted: object) -> dict:
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


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
