"""A stage's pages in a real browser: from the curve to a step, a problem, a rollout and back; filters; a phone."""

import pytest

from small_rl.rollouts import pages
from tests.helpers.browser import CHROMIUM, browser
from tests.helpers.rollouts import write_store
from tests.helpers.verl_stages import rl_stage

pytest.importorskip("websockets")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]
HOSTILE = "</pre><script>document.title = 'ruled'</script>" + "W" * 300
SHOWN = "[...document.querySelectorAll('tbody tr')].filter(row => row.offsetParent).length"


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    pages.write(write_store(folder / "of", rl_stage("laptop", "core"), {"q": HOSTILE}), folder / "pages")
    with browser(folder) as tab:
        tab.folder = folder / "pages"
        yield tab


def test_from_the_curve_to_a_rollout_and_back(tab):
    tab.resize(1280)
    tab.open(tab.folder / "index.html")
    assert tab.click("svg .band", 1) == "step_000002.html"  # of the first curve the second step
    assert tab.click("tbody tr td:first-child a", 0) == "group_00000.html"
    assert tab.read("document.querySelectorAll('article').length") == 2
    assert tab.click("nav a", 1) == "step_000002.html"
    assert tab.click("tbody tr:nth-child(2) a", 2) == "group_00001.html#r1"  # a reward leads to its rollout
    assert tab.read("getComputedStyle(document.querySelector('#r1')).outlineStyle") == "solid"
    assert "correct" in tab.read("document.querySelector('article:target').textContent")
    assert tab.click("nav a", 0) == "index.html"
    assert tab.click("tbody tr:first-child a[href]", 0) == "step_000001.html"


def test_a_filter_leaves_its_groups_and_a_count_leads_to_it(tab):
    tab.open(tab.folder / "index.html")
    assert tab.click("a[href='step_000001.html#paid']") == "step_000001.html#paid"
    chosen = """getComputedStyle(document.querySelector('nav a[href="#paid"]')).fontWeight"""
    assert tab.read(SHOWN) == 1 and tab.read(chosen) == "700"
    assert tab.click("nav a[href='#equal']") == "step_000001.html#equal"
    shown = "[...document.querySelectorAll('tbody tr')].find(row => row.offsetParent).textContent"
    assert tab.read(SHOWN) == 1 and "<script>" in tab.read(shown)
    assert tab.click("nav a[href='#']") == "step_000001.html" and tab.read(SHOWN) == 2


def test_links_of_a_result_lead_to_the_response_that_had_it(tab):
    tab.open(tab.folder / "step_000002" / "group_00000.html")
    assert tab.click("tbody a") == "group_00000.html#r0"
    assert "step_000001" in tab.read("location.pathname")


@pytest.mark.parametrize("width", [500, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_is_wider_than_the_screen_and_nothing_of_a_text_runs(tab, width, dark):
    tab.check_pages(tab.folder, width, dark)
