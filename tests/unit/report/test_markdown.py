"""report.md and the model card as a renderer of Markdown reads them: names and texts stay text."""

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from polaris.report.markdown import markdown
from polaris.report.markdown_text import escaped
from polaris.report.model_card import model_card
from tests.helpers.report_run import Run
from tests.helpers.reports import CHAIN, DIGITS, make

START, MODEL = "base_<u>&lt;", "*sft*_<img src=x onerror=alert(1)>"
BENCHMARK = "ch|ain `<script>` [link](http://a.b) ![picture](http://a.b)\n# head"
SOURCE = "<em>A paper</em>\n\n<script>alert(1)</script>"
INSTRUCTION = "\nThink, then write | \\boxed{`answer`}.\n\n<b>Be brief.</b>"
READER = MarkdownIt("commonmark", {"html": True}).enable("table")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """results.json of a run whose names are hostile."""
    run = Run(tmp_path_factory.mktemp("runs") / "small<!--")
    run.model(START, "a")
    run.model(MODEL, "b", start=START)
    for name in (START, MODEL):
        run.scores(name, {BENCHMARK: CHAIN, "digits": DIGITS})
    run.difficulty("rl<!--", [0, 1], 2, [True, False])
    published = {"source": SOURCE, "average_of": [], "values": {MODEL: {BENCHMARK: 1.0}}}
    extra = {"extra_evaluations": {}, "dates": {BENCHMARK: "<2025>"}, "model_dates": {MODEL: "2024"}}
    extra |= {"published": "x", "published_values": published}
    return make(run, ladder=[START, MODEL], generalists=[], alphas={}, **extra)


def asked(instruction: str) -> dict:
    """Settings of an evaluation's responses."""
    return {"sampling": {"temperature": 1.0, "seed": 1}, "instruction": instruction, "instructions": {MODEL: SOURCE}}


def read(text: str) -> list[Token]:
    """All tokens, those inside lines among them."""
    return [token for block in READER.parse(text) for token in (block, *(block.children or ()))]


def lines_of(tokens: list[Token]) -> list[str]:
    """The text of each heading, paragraph and cell, without markup."""
    return ["".join(part.content for part in token.children) for token in tokens if token.type == "inline"]


def check(text: str) -> list[str]:
    tokens = read(text)
    assert not {"html_inline", "html_block", "link_open", "image", "em_open"} & {token.type for token in tokens}
    rows = [text for text in text.splitlines() if text.startswith("|")]
    assert sum(token.type == "tr_open" for token in tokens) == len(rows) - sum(set(row) <= set("| -") for row in rows)
    return lines_of(tokens)


def test_names_are_text_in_the_report(found: dict):
    lines = check(markdown(found))
    assert {MODEL, START, "Run small<!--", " ".join(BENCHMARK.split())} <= set(lines)


def test_names_and_texts_are_text_in_the_card(found: dict):
    title = "A <b>model</b> & *more*\n# head"
    text = model_card(found, MODEL, title, {"license": "x\n---\n"}, asked(INSTRUCTION))
    _, head, body = text.split("---\n", 2)
    assert json.loads(head.partition(": ")[2]) == "x\n---\n"
    lines = check(body)
    assert " ".join(title.split()) in lines and " ".join(BENCHMARK.split()) in lines and "temperature" in lines
    codes = [token.content for token in read(body) if token.type in ("code_block", "fence")]
    assert [json.loads(code) for code in codes] == [INSTRUCTION, SOURCE]  # everywhere, and on one set


@pytest.mark.parametrize("text", ["format_sft − base_small", "+50.0 [+50.0, +50.0]", "< 0.001", "62.1 [60.0, 64.2] *"])
def test_what_means_nothing_to_markdown_stays_as_it_is(text: str):
    assert escaped(text) == text


def test_a_card_without_an_instruction(found: dict, tmp_path: Path):
    text = model_card(found, START, "t", {}, asked(""))
    assert "Nothing is added to the problem." in text
