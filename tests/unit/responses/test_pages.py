"""Pages of stored responses: links lead somewhere, hostile text is text, what differs comes first; lists are split."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from polaris.responses import marks, pages, source
from polaris.responses.source import Source
from polaris.stage import manifest
from polaris.stage.errors import UserError
from tests.helpers.answered import ANSWERS, judge_traces, write_run

COMMAND = "polaris rollouts scores/first --problem"


class Page(HTMLParser):
    def __init__(self, path: Path):
        super().__init__()
        self.links, self.ids, self.tags = [], set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.add(tag)
        self.links += [values["href"]] if "href" in values else []
        self.ids |= {values["id"]} if "id" in values else set()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("of"))


@pytest.fixture(scope="module")
def both(run):
    return [source.evaluation(manifest.read(run / "scores" / name / "data.json")) for name in ANSWERS]


@pytest.fixture(scope="module")
def written(both, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "pages"
    return pages.write(both, out, "first and second", COMMAND), out


def questions(path: Path) -> list[str]:
    """Ids of a list, in its order."""
    return re.findall(r'data-label="question"><a\s+href="question_\d+.html">(\w+)<', path.read_text())


def test_every_link_leads_to_a_page(written):
    _, out = written
    found = {path: Page(path) for path in out.rglob("*.html")}
    assert len(found) == 1 + 3 + 8  # index, questions, lists
    for path, page in found.items():
        for link in page.links:
            file, _, place = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target in found and (not place or place in found[target].ids), f"{path}: {link}"


def test_text_of_models_and_problems_is_text(written):
    _, out = written
    for path in out.rglob("*.html"):
        assert not {"script", "img"} & Page(path).tags and "default-src 'none'" in path.read_text(), path
    text = (out / "set_00/question_000000.html").read_text()
    assert "&lt;script&gt;" in text and "{{ 7 * 7 }}" in text


def test_two_models_are_read_where_they_differ_first(written):
    sections, out = written
    assert questions(out / "set_00/all_1.html") == ["three", "two", "one"]
    assert questions(out / "set_00/better_1.html") == ["two"] and questions(out / "set_00/worse_1.html") == ["three"]
    page = (out / "set_00/question_000002.html").read_text()
    assert "first: 0 of 2" in page and "second: 2 of 2" in page
    assert {"r0_0", "r0_1", "r1_0", "r1_1"} <= Page(out / "set_00/question_000002.html").ids
    head, *rows = pages.differing(sections)
    assert head == ["set", "question", "first", "second"]
    assert rows == [["made", "three", "0 of 2", "2 of 2"], ["made", "two", "1 of 2", "0 of 2"]]


def test_counts_are_those_of_the_responses(written):
    (section,), out = written
    first, second = section["models"]
    assert first["counts"] == {"wrong": 3, "cut": 1, "silent": 1} and second["counts"] == {"wrong": 2}
    assert (first["right"], second["right"]) == (0.5, pytest.approx(4 / 6))
    assert {one["mark"]: one["count"] for one in section["filters"]} == {
        "all": 3, "better": 1, "worse": 1, "wrong": 2, "cut": 1, "silent": 1, "mixed": 1, "longest": 3
    }  # fmt: skip
    assert questions(out / "set_00/longest_1.html")[0] == "three"
    head, *rows = pages.lines([section])
    assert head[:3] == ["set", "model", "questions"] and [row[1] for row in rows] == ["first", "second"]


def test_where_another_grader_disagrees(both, tmp_path):
    rows = [row | {"other": row["correct"] and row["sample"] == 0} for row in both[0].rows]
    (section,) = pages.write([dataclasses.replace(both[0], rows=rows)], tmp_path / "out", "first", COMMAND)
    assert section["models"][0]["counts"]["graders"] == 1
    assert questions(tmp_path / "out/set_00/graders_1.html") == ["one"]


def test_traces_are_listed_by_what_became_of_them(run, tmp_path):
    judge_traces(run, [None, "duplicate", None, "no_answer", "different", "truncated"])
    traced = source.traces(manifest.read(run / "sft_data/data.json"))
    (section,) = pages.write([traced], tmp_path / "out", "traces", COMMAND)
    assert traced.name == "traces" and section["models"][0]["right"] == pytest.approx(2 / 6)
    assert {one["mark"] for one in section["filters"]} == {
        "all", "mixed", "longest", "taught", "duplicate", "no_answer", "different", "truncated"
    }  # fmt: skip
    assert questions(tmp_path / "out/set_00/duplicate_1.html") == ["one"]
    page = (tmp_path / "out/set_00/question_000000.html").read_text()
    assert "<b>taught</b>" in page and "<b>not taught</b> (duplicate)" in page


def test_a_reason_leads_no_page_elsewhere(run):
    judge_traces(run, ["../../elsewhere", None, None, None, None, None])
    with pytest.raises(UserError, match="'../../elsewhere' is none of our reasons; make sft_data again"):
        source.traces(manifest.read(run / "sft_data/data.json"))


def test_worked_solutions_are_traces_too():
    problem = {"id": "p", "problem": "?", "answers": ["2"], "source": "x", "solution": "so \\boxed{2}"}
    row = {"set": "solutions", "problem_id": "p", "sample": 0, "tokens": 0, "reason": None}
    ((key, [(_, text)]),) = Source("traces", [row], {"solutions": {"p": problem}}, None).questions()
    assert key == ("solutions", "p") and "so \\boxed{2}" in text


def test_long_texts_and_long_lists_are_split(both, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "HEAD", 20)
    monkeypatch.setattr(pages, "TAIL", 10)
    monkeypatch.setattr(pages, "ROWS", 2)
    pages.write([both[0]], tmp_path / "out", "first", COMMAND)
    assert len(questions(tmp_path / "out/set_00/all_1.html")) == 2
    assert len(questions(tmp_path / "out/set_00/all_2.html")) == 1
    page = (tmp_path / "out/set_00/question_000002.html").read_text()
    assert "characters ...]" in page and f"<code>{COMMAND} three</code>" in page and "W" * 20 not in page


def test_a_question_in_full_is_all_of_its_texts(both):
    said = "\n".join(pages.in_full(both, "three"))
    assert ANSWERS["first"][5] in said and "--- second, response 1: correct (exact)" in said
    with pytest.raises(UserError, match="there is no response to a problem four"):
        list(pages.in_full(both, "four"))


def test_questions_of_another_order_are_paired_and_missing_ones_named(both):
    first, second = both
    turned = dataclasses.replace(second, rows=[*second.rows[2:], *second.rows[:2]])
    moved = [*ANSWERS["second"][2:], *ANSWERS["second"][:2]]
    object.__setattr__(turned, "_texts", lambda: (((r["set"], r["problem_id"]), t) for r, t in zip(turned.rows, moved)))
    found = {key[1]: [text for _, text in columns[1]] for key, columns in pages.together([first, turned])}
    assert found["one"] == ANSWERS["second"][:2] and found["three"] == ANSWERS["second"][4:]
    with pytest.raises(UserError, match="second: no response to problem three of made, which first has"):
        fewer = dataclasses.replace(second, rows=second.rows[:4])
        object.__setattr__(fewer, "_texts", lambda: ((("made", r["problem_id"]), "x") for r in fewer.rows))
        list(pages.together([first, fewer]))


def test_other_texts_than_were_graded_are_refused(both):
    with pytest.raises(UserError, match="other responses than were graded"):
        list(dataclasses.replace(both[0], rows=both[0].rows[::-1]).questions())
    with pytest.raises(UserError, match="some of the responses that were graded are missing"):
        list(dataclasses.replace(both[0], rows=[*both[0].rows, both[0].rows[0]]).questions())


def test_marks_of_two_models():
    right, wrong = ({"correct": ok, "finish_reason": "stop", "reason": "exact"} for ok in (True, False))
    assert marks.of_question([[right, wrong], [wrong, wrong]]) == {"wrong", "mixed", "better"}
    assert marks.of_question([[right], [right]]) == set()
