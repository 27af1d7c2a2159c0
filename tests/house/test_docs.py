"""Pages that exist, links that lead somewhere, lines that fit a window."""

import json
import re
from pathlib import Path

import pytest

from polaris.report import study_page
from polaris.report.study_designs import DESIGNS, LAPTOP, Design
from polaris.tournament.roads import TOURNAMENT

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
WIDTH = 100


def links(page: Path) -> list[str]:
    """Relative targets of a page's links and pictures, without what follows #."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [target for target in targets if target and "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    assert [target for target in links(page) if not (ROOT / page.parent / target).exists()] == []


def test_named_tests_exist():
    """CONTRIBUTING.md's worked example is the one that does not."""
    for page in (ROOT / path for path in PAGES if path.name not in ("CHANGELOG.md", "CONTRIBUTING.md")):
        named = re.findall(r"`([\w/]*test_\w+\.py)`", page.read_text())
        assert [name for name in named if not any((ROOT / top / name).exists() for top in ("", "tests"))] == [], page


def test_the_index_has_every_page():
    linked = {(ROOT / "docs" / target).resolve() for target in links(Path("docs/index.md"))}
    pages = {(ROOT / page).resolve() for page in PAGES if page.parts[0] == "docs" and page.name != "index.md"}
    assert pages - linked == set()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def prose(text: str) -> list[tuple[int, str]]:
    """(number, line) of what is neither a table, a heading nor code, with its links' addresses left out."""
    found, code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code and not line.startswith(("|", "#", "    ")):
            found.append((number, re.sub(r"\]\([^)]*\)", "]", line)))
    return found


def test_prose_leaves_out_tables_code_and_addresses():
    text = "# Head\n| a |\n```\ncode\n```\nsee [it](https://an.address)\n"
    assert prose(text) == [(6, "see [it]")]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_prose_is_wrapped(page):
    assert [number for number, line in prose((ROOT / page).read_text()) if len(line) > WIDTH] == []


PUBLISHED = [design for design in DESIGNS if (ROOT / "docs/study" / design.markdown).exists()]


def records(design: Design) -> list[dict]:
    return [json.loads((ROOT / f"docs/study/{design.records}_{number}.json").read_text()) for number in (0, 1, 2)]


@pytest.mark.parametrize("design", PUBLISHED, ids=lambda design: design.records)
@pytest.mark.slow
def test_the_studies_are_written_from_their_records(design: Design):
    assert (ROOT / "docs/study" / design.markdown).read_text() == study_page.markdown(design, records(design), [])
    assert (ROOT / "docs/study" / design.page).read_text() == study_page.page(design, records(design), [])


@pytest.mark.slow
def test_the_results_of_the_readme_are_those_of_the_studies():
    """(difference, interval over trainings, commit) of each row."""
    measured = set()
    for design in PUBLISHED:
        commits = {record["commit"][:7] for record in records(design)}
        tables = [
            study_page.claim_rows(records(design), rows) for _, rows in study_page.groups(design, records(design))
        ]
        cells = {(row[-4].split(" [")[0], row[-3]) for table in tables for row in table[1:]}
        measured |= {(*cell, commit) for cell in cells for commit in commits}
    roads = (ROOT / "docs/study" / TOURNAMENT.markdown).read_text()  # written from its records: unit/tournament
    commits = {record["commit"][:7] for record in records(TOURNAMENT)}
    measured |= {
        (mean, interval, commit)
        for mean, interval in re.findall(r"\| ([+−]?[\d.]+) \[[^]|]*\] \| (\[[^]|]*\]) \|", roads)
        for commit in commits
    }
    shown = re.findall(
        r"\| ([+−]?[\d.]+) \| (\[.*?\]) \|.*, (\w{7}) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(shown) >= 4 and set(shown) <= measured, set(shown) - measured


def test_the_picture_is_drawn_from_the_records():
    drawn = study_page.picture(LAPTOP, records(LAPTOP)[:1])
    assert drawn == (ROOT / "docs/images/laptop.svg").read_text(), "draw it again: polaris study 0 1 2"
