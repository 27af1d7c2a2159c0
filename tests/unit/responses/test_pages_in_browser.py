"""Two models' pages in a real browser: from a count to a question, its responses side by side, and back; a phone."""

import pytest

from polaris.responses import pages, source
from polaris.stage import manifest
from tests.helpers.answered import ANSWERS, write_run
from tests.helpers.browser import CHROMIUM, browser

pytest.importorskip("websockets")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = write_run(folder)
    both = [source.evaluation(manifest.read(run / "scores" / name / "data.json")) for name in ANSWERS]
    pages.write(both, folder / "pages", "first and second", "polaris rollouts scores/first scores/second --problem")
    with browser(folder) as tab:
        tab.folder = folder / "pages"
        yield tab


def test_from_a_count_to_a_question_and_back(tab):
    tab.resize(1280)
    tab.open(tab.folder / "index.html")
    assert tab.click("td[data-label='truncated'] a") == "cut_1.html"
    assert tab.read("document.querySelectorAll('tbody tr').length") == 1
    assert tab.click("nav a[href='worse_1.html']") == "worse_1.html"
    assert tab.click("tbody a") == "question_000002.html"
    boxes = tab.read("[...document.querySelectorAll('.pair > section')].map(part => part.getBoundingClientRect().x)")
    assert len(boxes) == 2 and boxes[0] < boxes[1]  # side by side
    assert tab.click("nav a", 2) == "question_000001.html" and tab.click("nav a", 1) == "all_1.html"
    assert tab.click("nav a", 0) == "index.html"


@pytest.mark.parametrize("width", [500, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_is_wider_than_the_screen_and_nothing_of_a_text_runs(tab, width, dark):
    tab.check_pages(tab.folder, width, dark)
