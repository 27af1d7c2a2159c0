"""merge.soup in a recipe: its models and their names, what it refuses, and that nothing changes without it."""

import pytest

from polaris.recipe import recipe
from polaris.recipe.model_dates import model_dates
from polaris.stage.errors import UserError
from tests.helpers.recipes import LAPTOP

OVERLAY = """extends: [laptop, presets/opd]
opd:
  opd: {like: grpo, student: base_large, teacher: core_filtered, distillation: {engine: laptop}}
  other: {like: opd, teacher: grpo}
  small: {like: opd, student: format_sft}
"""
GRID = "models: [distilled, opd], step: 0.5"


def loaded(tmp_path, soup: str, more: str = "") -> recipe.Recipe:
    (tmp_path / "mine.yaml").write_text(f"{OVERLAY}merge: {{alphas: [0.3, 0.5], soup: {{{soup}}}}}\n{more}")
    return recipe.load([tmp_path / "mine.yaml"])


def test_every_point_is_a_model_once(tmp_path):
    mine = loaded(tmp_path, GRID)
    assert mine.soup == {
        "0.00_0.00_1.00": "opd",
        "0.00_0.50_0.50": "soup=0.00_0.50_0.50",
        "0.00_1.00_0.00": "distilled",
        "0.50_0.00_0.50": "soup=0.50_0.00_0.50",
        "0.50_0.50_0.00": "alpha=0.50",  # the very merge of the sweep
        "1.00_0.00_0.00": "base_large",
    }
    assert mine.soups == {
        "soup=0.00_0.50_0.50": {"base_large": 0.0, "distilled": 0.5, "opd": 0.5},
        "soup=0.50_0.00_0.50": {"base_large": 0.5, "opd": 0.5},
    }
    assert mine.checkpoints["soup=0.00_0.50_0.50"] == "merged/soup=0.00_0.50_0.50"
    assert mine.source("soup=0.00_0.50_0.50") == "base_large"
    three, two = (mine.merge.one(tuple(parts.values()), soup=True) for parts in mine.soups.values())
    assert (three.alpha, three.several, two.alpha, two.several) == (None, (0, 0.5, 0.5), 0.5, None)
    assert "several" not in two.model_dump() and "alpha" not in three.model_dump()


def test_further_points_stand_beside_the_grid(tmp_path):
    mine = loaded(tmp_path, f"{GRID}, points: [[0.2, 0.4, 0.4], [0.5, 0.5, 0]], selected: [0.2, 0.4, 0.4]")
    assert len(mine.soup) == 7 and "soup=0.20_0.40_0.40" in mine.soups
    alone = loaded(tmp_path, "models: [opd, other], points: [[0.2, 0.4, 0.4]]")
    assert list(alone.soups) == ["soup=0.20_0.40_0.40"]


def test_a_method_of_mergekit_stands_for_the_average_alone(tmp_path):
    ram = "mergekit: {method: ramplus_tl, parameters: {r: 0.1, alpha: 0.2}, base: {}, distilled: {}}"
    mine = loaded(tmp_path, f"models: [distilled, opd], points: [[0, 0.5, 0.5]], {ram}")
    one = mine.merge.one((0, 0.5, 0.5), soup=True)
    assert (one.backend, one.mergekit.method) == ("mergekit", "ramplus_tl")
    assert mine.merge.one((0.3, 0.7), soup=False).backend == "stream"
    with pytest.raises(UserError, match="ramplus_tl as it is written here depends on no share, and all 6 points"):
        loaded(tmp_path, f"{GRID}, {ram}")
    with pytest.raises(UserError, match="keep: none needs backend: stream"):
        recipe.load(
            [tmp_path / "mine.yaml"], {"merge": {"keep": "none", "soup": {"step": None, "points": [[0, 0.5, 0.5]]}}}
        )


def test_without_it_nothing_changes():
    plain = recipe.load([LAPTOP])
    assert (plain.soup, plain.soups) == ({}, {})
    assert plain.merge.one((0.3, 0.7), soup=False).model_dump().keys() == {
        "backend", "mergekit", "dtype", "tokenizer", "threads", "o_direct", "sha256", "alpha",
    }  # fmt: skip


def test_its_date_is_the_latest_of_its_models(tmp_path):
    given = {
        name: f"{{hub: a/{name}, revision: {'a' * 40}, date: {date}}}"
        for name, date in (("base", "2026-01-02"), ("one", "2026-03-04"), ("two", "2026-02-01"))
    }
    more = f"inputs:\n  base_large: {given['base']}\n  models: {{one: {given['one']}, two: {given['two']}}}\n"
    mine = loaded(tmp_path, "models: [one, two], step: 0.5", more)
    dates = model_dates(mine)
    assert dates["soup=0.00_0.50_0.50"] == "2026-03-04" and dates["soup=0.50_0.00_0.50"] == "2026-02-01"


@pytest.mark.parametrize(
    ("soup", "message"),
    [
        ("models: [distilled, opd], step: 0.3", "step: 0.3 does not divide 1"),
        ("models: [distilled, opd], step: 0.01", "step: 0.01 makes 5,151 merges of 3 models"),
        (f"{GRID}, points: [[0.5, 0.25, 0.2]]", r"points.0: \[0.5, 0.25, 0.2\]: shares sum to 1, these to 0.95"),
        (f"{GRID}, points: [[0.5, 0.75, -0.25]]", r"a share must lie in \[0, 1\], not -0.25"),
        (f"{GRID}, points: [[0.5, 0.5]]", r"\[0.5, 0.5\] has 2 shares, for base_large and 2 models"),
        (f"{GRID}, selected: [0.2, 0.4, 0.4]", r"selected: \[0.2, 0.4, 0.4\] is none of the points"),
        ("models: [distilled, nobody], step: 0.5", "merge.soup.models: nobody is no model to average here; possible: "),
        ("models: [distilled, grpo], step: 0.5", "grpo has another shape than base_large; possible: distilled opd"),
        ("models: [distilled, small], step: 0.5", "small has another shape than base_large"),
        ("models: [distilled, base_large], step: 0.5", "base_large is no model to average here"),
        ("models: [distilled, alpha=0.30], step: 0.5", "alpha=0.30 is no model to average here"),
        ("models: [opd, opd], step: 0.5", "models: opd occurs twice"),
        ("models: [opd], step: 0.5", "merge.soup.models: List should have at least 2 items"),
        ("models: [distilled, opd]", "points: there is none, and no step of a grid"),
    ],
)
def test_refused(tmp_path, soup, message):
    with pytest.raises(UserError, match=message) as caught:
        loaded(tmp_path, soup)
    assert len(str(caught.value).splitlines()) == 1


def test_a_given_model_of_another_shape_is_named(tmp_path):
    more = "inputs:\n  models: {mine: {like: tiny_qwen3_moe, layers: 3}}\n"
    with pytest.raises(UserError, match="merge.soup.models: mine has [0-9,]+ parameters, base_large [0-9,]+: only"):
        loaded(tmp_path, "models: [distilled, mine], step: 0.5", more)


def test_no_stage_learns_from_such_an_average(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        OVERLAY + "  late: {like: opd, student: soup=0.00_0.50_0.50}\n" + f"merge: {{soup: {{{GRID}}}}}\n"
    )
    with pytest.raises(UserError, match="opd.late.student: soup=0.00_0.50_0.50 is a later stage"):
        recipe.load([tmp_path / "mine.yaml"])
