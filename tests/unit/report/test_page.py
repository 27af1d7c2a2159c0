"""The findings of the report's page: each from a comparison, with what its control allows."""

import html.parser

import pytest

from polaris.evaluation import results
from polaris.report import page, report
from tests.helpers.report_run import Run

HOSTILE = 'digits"><i>'
HALF = {"lower": "0000", "half": "1010", "higher": "1111"}


def row(a: str, b: str | None, about: str, difference: float = 0.0, p: float = 0.001) -> dict:
    """A row of `claims`, with equal differences on one benchmark."""
    numbers = {"difference": difference, "interval": [difference - 0.01, difference + 0.01], "p_holm": p}
    return {"about": about, "a": a, "b": b, "explanation": "", "differences": {"chain": numbers} if b else {}}


def test_a_finding_for_each_subject():
    found = {"headline": ["chain"], "settings": {"confidence": 0.95}, "pairs": [], "checkpoints": []}
    found["claims"] = [
        row("grpo", "sft", "training", 0.1), row("core", "sft", "training", -0.1),
        row("core", "grpo", "process reward"),
        row("filtered", None, "overlap filter"), row("filtered", "other", "half that the filter keeps", 0.1, p=0.2),
        row("merged", None, "merge"), row("merged", None, "weak-to-strong transfer"),
    ]  # fmt: skip
    assert [
        (subject, {word: [row["a"] for row in rows] for word, rows in by_verdict.items() if rows}, without)
        for subject, by_verdict, without in page.findings(found)
    ] == [
        ("Reinforcement learning", {"higher": ["grpo"], "lower": ["core"]}, []),
        ("Process reward", {"no difference shown": ["core"]}, []),
        ("Overlap filter", {"no difference shown": ["filtered"]}, ["filtered"]),
        ("Merge and transfer", {}, ["merged"]),
    ]


def test_a_distillation_is_compared_with_its_student():
    numbers = row("opd", "sft", "", 0.1)["differences"]["chain"]
    pairs = [
        {"family": family, "a": a, "b": b, "benchmark": "chain", **numbers}
        for family, a, b in (
            (results.LADDER, "sft", "base"), (results.MODELS, "opd", "sft"), (results.MODELS, "opd", "base")
        )
    ]  # fmt: skip
    starts = {"base": None, "sft": "base", "opd": "sft"}
    found = {"headline": ["chain"], "settings": {"confidence": 0.95}, "claims": [], "pairs": pairs}
    found["checkpoints"] = [{"name": name, "start": start} for name, start in starts.items()]
    told = [(subject, [one["a"] for one in words["higher"]]) for subject, words, _ in page.findings(found)]
    assert told == [("Supervised training", ["sft"]), ("On-policy distillation", ["opd"])]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of two models, of which the second is better on one benchmark and worse on the other."""
    run = Run(tmp_path_factory.mktemp("runs") / "run")
    run.model("base", "a")
    run.model("sft", "b", steps=3, start="base")
    for name, chain, digits in (("base", "half", "half"), ("sft", "higher", "lower")):
        marks = {"chain": HALF[chain], HOSTILE: HALF[digits]}
        run.scores(name, {benchmark: {f"p{i}": mark for i in range(30)} for benchmark, mark in marks.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["report", *run.arguments(ladder=["base", "sft"])])
        report.main()
    return (run.folder / "report" / "index.html").read_text()


def test_a_mean_does_not_hide_its_parts(source: str):
    (finding,) = finding_texts(source)
    assert finding.startswith("Supervised training. No difference shown: sft against base (0.0 [0.0, 0.0], p 1.00")
    assert finding.endswith(f"; higher on chain, +50.0 [+50.0, +50.0]; lower on {HOSTILE}, −50.0 [−50.0, −50.0]).")


def test_hostile_names_end_no_attribute(source: str):
    assert HOSTILE not in source and 'data-label="digits&#34;&gt;&lt;i&gt;"' in source


class Findings(html.parser.HTMLParser):
    """Texts of the list of findings."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.texts = False, []

    def handle_starttag(self, tag, attrs):
        self.inside = self.inside or ("class", "findings") in attrs
        if tag == "li" and self.inside:
            self.texts.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "ul"

    def handle_data(self, data):
        if self.inside and self.texts:
            self.texts[-1] += data


def finding_texts(source: str) -> list[str]:
    parser = Findings()
    parser.feed(source)
    return [" ".join(text.split()) for text in parser.texts]
