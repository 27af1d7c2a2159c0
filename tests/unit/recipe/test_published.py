"""Published values: every name in the file is one of its recipe, and they stand beside our scores, mixed with none."""

import pytest

from polaris.evaluation.verdicts import AVERAGE
from polaris.recipe import recipe, recipe_yaml
from polaris.recipe.published import FILE, published
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError
from tests.helpers.report_run import Run
from tests.helpers.reports import Page, ladder, make


@pytest.mark.parametrize("name", recipe_yaml.read_file(FILE))
def test_names_are_the_recipes(name: str):
    asked = recipe.load([ROOT / f"configs/{name}.yaml"])
    assert asked.report.published == name
    known = published(name)
    assert set(known.values) <= set(asked.checkpoints)
    assert set().union(*known.values.values()) <= {*asked.headline, AVERAGE}
    assert not known.average_of or set(known.average_of) == set(asked.headline)


def test_an_unknown_name_is_refused():
    with pytest.raises(UserError, match="report.published: v3 is none of polaris_v2, polaris_v1_4b"):
        published("v3")


@pytest.mark.parametrize("average_of", [["chain", "digits"], ["digits"]])
def test_values_beside_ours(tmp_path, average_of: list[str]):
    ladder(run := Run(tmp_path / "run"))
    values = {"base_small": {"chain": 41.5, AVERAGE: 30.0}, "core": {"digits": 99.9}, "elsewhere": {"chain": 1.0}}
    printed = {"source": "A paper, table 1", "average_of": average_of, "values": values}
    found = make(run, generalists=[], alphas={}, published="paper", published_values=printed)
    mean = [{"name": "base_small", "benchmark": AVERAGE, "published": 0.3, "avg": 0.3125}]
    assert found["published"] == [
        {"name": "base_small", "benchmark": "chain", "published": 0.415, "avg": 0.375},
        *(mean if len(average_of) == 2 else []),
        {"name": "core", "benchmark": "digits", "published": 0.999, "avg": 0.25},
    ]
    text = " ".join(Page((run.folder / "report/index.html").read_text()).text.split())
    assert "A paper, table 1. In percent, as printed there" in text and "41.5, 37.5 [" in text
    assert "| core | digits | 99.9 | 25.0 |" in (run.folder / "report/report.md").read_text()
    assert {row["avg"] for row in found["models"] if row["benchmark"] == "digits"} == {0.25}  # theirs is in no score
