"""The pages of a store: every link leads somewhere, hostile text is text, results are marked as the sets knew them."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from polaris.stage.errors import UserError
from small_rl.rollouts import pages, store
from tests.helpers import opd
from tests.helpers.rollouts import write_store
from tests.helpers.verl_stages import rl_stage

HOSTILE = "</pre><script>alert(1)</script> {{ 7 * 7 }} <img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Links, ids, tags, and the marked spans with their kinds."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.marks: list[tuple[str, str]] = []
        self.kind: str | None = None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.add(tag)
        self.links += [values["href"]] if "href" in values else []
        self.ids |= {values["id"]} if "id" in values else set()
        self.kind = values.get("class", "") if tag == "mark" else None

    def handle_data(self, data):
        if self.kind is not None:
            self.marks.append((self.kind, data))
            self.kind = None


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    stored = write_store(folder / "of", rl_stage("laptop", "core"), {"q": HOSTILE})
    return pages.write(stored, folder / "pages"), folder / "pages"


def test_every_link_leads_to_a_page_and_a_place_in_it(written):
    _, out = written
    found = {path: Page(path) for path in out.rglob("*.html")}
    assert len(found) == 1 + 2 + 4
    for path, page in found.items():
        for link in page.links:
            file, _, place = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target in found, f"{path}: {link}"
            assert not place or place in found[target].ids, f"{path}: {link}"
    assert {"step_000001.html", "step_000001.html#paid"} <= set(found[out / "index.html"].links)


def test_text_of_models_and_problems_is_text(written):
    _, out = written
    for path in out.rglob("*.html"):
        assert not {"script", "img"} & Page(path).tags, path
    text = (out / "step_000001" / "group_00001.html").read_text()
    assert "&lt;script&gt;alert(1)" in text and "{{ 7 * 7 }}" in text
    assert "&lt;b&gt;no&lt;/b&gt;" in (out / "step_000002" / "group_00000.html").read_text()
    assert "default-src 'none'" in text  # and nothing could be loaded or run


def test_results_are_marked_as_the_set_knew_them(written):
    _, out = written
    first = Page(out / "step_000001" / "group_00000.html").marks
    assert ("known", "a=2") in first and ("new", "b=3") in first and ("new", "c=7") in first
    second = (out / "step_000002" / "group_00000.html").read_text()
    assert ("known", "b=3") in Page(out / "step_000002" / "group_00000.html").marks
    assert "since step 1" in second and 'href="../step_000001/group_00000.html#r0"' in second


def test_numbers_of_the_steps(written):
    table, _ = written
    assert [(row["step"], row["accuracy"], row["rollouts"]) for row in table] == [(1, 0.25, 4), (2, 0.5, 4)]
    # step 1: a=2 is known, c=7 is not, of a set of 1; q's responses have nothing that is known
    assert table[0]["process_reward"] == pytest.approx(0.5 / 3)
    assert table[0]["counts"]["paid"] == 1 and table[0]["counts"]["equal"] == 2
    head, *rows = pages.lines(table)
    assert len(head) == len(rows[0]) and rows[0][0] == "1"


@pytest.mark.parametrize("settings", [rl_stage("laptop", "grpo"), opd.training()], ids=["grpo", "opd"])
def test_outcome_rewards_have_pages_too(tmp_path, settings):
    stored = write_store(tmp_path / "of", settings)
    pages.write(stored, tmp_path / "pages")
    assert "correct responses before" not in (tmp_path / "pages" / "step_000001" / "group_00000.html").read_text()


def test_pages_are_made_anew_and_a_cut_step_is_named(tmp_path):
    stored = write_store(tmp_path / "of", rl_stage("laptop", "core"))
    pages.write(stored, tmp_path / "pages")
    path = store.step_file(stored, 2)
    path.write_bytes(path.read_bytes()[:50])
    assert [row["step"] for row in pages.write(stored, tmp_path / "pages")] == [1]
    assert not (tmp_path / "pages" / "step_000002.html").exists()
    assert "step_000002.parquet" in (tmp_path / "pages" / "index.html").read_text()


def test_no_store_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="rollout_store: all"):
        pages.write(tmp_path, tmp_path / "pages")
