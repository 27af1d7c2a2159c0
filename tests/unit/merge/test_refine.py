"""Further alphas around the best one, and the overlay that asks for them."""

import json
import sys

import pytest
import yaml

from merge import refine
from merge.alpha import spelled_shares
from merge.grid import finer_alphas, finer_shares, points_of, simplex
from polaris.recipe import recipe
from polaris.stage.errors import UserError
from tests.helpers.report_run import Run

LAPTOP = "configs/laptop.yaml"


@pytest.mark.parametrize(
    ("alphas", "best", "parts", "new"),
    [
        ([0, 0.25, 0.5, 0.75, 1], 0.5, 4, [0.125, 0.312, 0.375, 0.438, 0.562, 0.625, 0.688, 0.875]),
        ([0, 0.25, 0.5, 0.75, 1], 0.5, 2, [0.375, 0.625]),
        ([0, 0.5, 1], 0, 2, [0.25]),  # at an end there is one gap
        ([0, 0.5, 1], 1, 4, [0.25, 0.625, 0.75, 0.875]),
        ([0.3, 0.301, 0.302], 0.301, 4, []),  # as fine as it gets
        ([0.5], 0.5, 4, []),
    ],
)
def test_grid_is_finer_near_the_best(alphas, best, parts, new):
    assert finer_alphas(alphas[::-1], best, parts) == new


def test_best_must_be_one_of_them():
    with pytest.raises(ValueError, match=r"alpha 0\.4"):
        finer_alphas([0, 1], 0.4, 2)


def results(path, curves, select_on):
    """curves: benchmark -> {alpha: score}"""
    rows = [
        {"alpha": alpha, "benchmark": name, "avg": avg}
        for name, curve in curves.items()
        for alpha, avg in curve.items()
    ]
    path.write_text(json.dumps({"alphas": rows, "choice": {"select_on": select_on}}))
    return path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["refine", *map(str, arguments)])
    refine.main()


def test_overlay_extends_the_recipe_by_what_the_selection_split_likes(tmp_path, monkeypatch, capsys):
    alphas = [0.0, 0.3, 0.4, 0.5, 0.7, 1.0]
    held_out = dict(zip(alphas, [0.5, 0.6, 0.61, 0.7, 0.6, 0.4], strict=True))
    reported = dict(zip(alphas, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], strict=True))
    curves = {"held_out": held_out, "reported": reported, "average": reported}
    path = results(tmp_path / "results.json", curves, ["held_out"])
    overlay = tmp_path / "finer.yaml"
    run(monkeypatch, "--results", path, "--parts", 2, "--out", overlay)
    assert "best on held_out: 0.50 with 0.7000" in capsys.readouterr().err
    before, after = recipe.load([LAPTOP]), recipe.load([LAPTOP, overlay])
    assert after.merge.alphas == [0.0, 0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 1.0]
    assert after.merge.selected == 0.5
    assert set(after.checkpoints) - set(before.checkpoints) == {"alpha=0.45", "alpha=0.60"}
    assert yaml.safe_load(overlay.read_text()).keys() == {"merge"}
    results(path, curves, ["held_out", "reported"])
    run(monkeypatch, "--results", path, "--out", overlay)
    assert "best on held_out, reported: 0.00" in capsys.readouterr().err


def test_an_alpha_that_cannot_win_is_left_out(tmp_path, monkeypatch, capsys):
    run_folder, curves = Run(tmp_path / "run"), {}
    for alpha, right in ((0.3, "1111"), (0.5, "1110"), (0.7, "0000")):
        run_folder.scores(f"alpha={alpha:.2f}", {"chain": {f"p{number}": right for number in range(40)}})
        curves[alpha] = right.count("1") / 4
    (tmp_path / "run/report").mkdir()
    rows = [{"alpha": a, "model": f"alpha={a:.2f}", "benchmark": "chain", "avg": avg} for a, avg in curves.items()]
    path = tmp_path / "run/report/results.json"
    path.write_text(json.dumps({"alphas": rows, "choice": {"select_on": ["chain"]}}))
    overlay = tmp_path / "finer.yaml"
    run(monkeypatch, "--results", path, "--parts", 2, "--drop", 0.05, "--out", overlay)
    said = capsys.readouterr().err
    assert "0.70 is left out: 0.30 beats it after" in said and "0.50 is left out" in said
    assert yaml.safe_load(overlay.read_text())["merge"] == {"alphas": [0.3, 0.4], "selected": 0.3}
    with pytest.raises(UserError, match="--drop 1: a probability"):
        run(monkeypatch, "--results", path, "--drop", 1, "--out", overlay)


def test_bad_results_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    one = {"alpha": 0.3, "benchmark": "chain", "avg": 1}
    for found, message in (
        (None, "there is no such file"),
        ([], "this is a list, and an object in braces is needed"),
        ({"alphas": [one]}, "not the results.json of a report"),
        ({"alphas": [], "choice": {"select_on": ["x"]}}, "none was evaluated; merge.alphas"),
        ({"alphas": [one], "choice": {"select_on": []}}, "merge.select_on of the recipe is empty"),
        ({"alphas": [one], "choice": {"select_on": ["x"]}}, "alpha 0.30 has no score on x .it has chain"),
    ):
        if found is not None:
            path.write_text(json.dumps(found))
        with pytest.raises(UserError, match=message):
            run(monkeypatch, "--results", path, "--out", tmp_path / "o.yaml")
    assert not (tmp_path / "o.yaml").exists()


# --- several distilled models -----------------------------------------------------------------------------------
def test_a_simplex_has_all_shares_of_its_step():
    assert list(simplex(2, 3)) == [(0, 0, 1), (0, 0.5, 0.5), (0, 1, 0), (0.5, 0, 0.5), (0.5, 0.5, 0), (1, 0, 0)]
    for parts, models in ((4, 3), (5, 4), (8, 3)):
        found = list(simplex(parts, models))
        assert len(set(found)) == len(found) == points_of(parts, models)
        assert all(spelled_shares(shares) for shares in found)


def test_shares_are_finer_near_the_best():
    grid = list(simplex(4, 3))
    around = finer_shares(grid, (0.5, 0.25, 0.25))
    assert around == [
        (0.375, 0.25, 0.375), (0.375, 0.375, 0.25), (0.5, 0.125, 0.375), (0.5, 0.375, 0.125),
        (0.625, 0.125, 0.25), (0.625, 0.25, 0.125),
    ]  # fmt: skip
    assert finer_shares(grid, (1.0, 0.0, 0.0)) == [(0.875, 0.0, 0.125), (0.875, 0.125, 0.0)]
    again = finer_shares([*grid, *around], (0.5, 0.375, 0.125))
    assert (0.438, 0.437, 0.125) in again and len(again) == 6 and all(spelled_shares(one) for one in again)
    assert finer_shares([(0.5, 0.25, 0.25)], (0.5, 0.25, 0.25)) == []
    with pytest.raises(ValueError, match="are none of"):
        finer_shares(grid, (0.4, 0.3, 0.3))


def test_an_overlay_of_several_models_asks_for_points_around_the_best(tmp_path, monkeypatch, capsys):
    mine = tmp_path / "mine.yaml"
    opd = "opd: {like: grpo, student: base_large, teacher: core_filtered, distillation: {engine: laptop}}"
    soup = "merge: {select_on: [chain_select], soup: {models: [distilled, opd], step: 0.5}}"
    mine.write_text(f"extends: [laptop, presets/opd]\nopd: {{{opd}}}\n{soup}\n")
    before, scores = recipe.load([mine]), [0.1, 0.6, 0.2, 0.3, 0.5, 0.4]
    rows = [
        {"shares": list(shares), "benchmark": "chain_select", "avg": avg}
        for shares, avg in zip(simplex(2, 3), scores, strict=True)
    ]
    path, overlay = tmp_path / "results.json", tmp_path / "finer.yaml"
    path.write_text(json.dumps({"soups": rows, "choice": {"select_on": ["chain_select"]}}))
    run(monkeypatch, "--soup", "--results", path, "--out", overlay)
    said = capsys.readouterr().err
    assert "best on chain_select: 0.00_0.50_0.50 with 0.6000" in said and "4 more points: 0.00_0.25_0.75 " in said
    after = recipe.load([mine, overlay])
    assert after.merge.soup.step is None and after.merge.soup.selected == (0, 0.5, 0.5)
    new = ("0.00_0.25_0.75", "0.00_0.75_0.25", "0.25_0.25_0.50", "0.25_0.50_0.25")
    assert set(after.soups) - set(before.soups) == {f"soup={one}" for one in new}
    assert before.soups.items() <= after.soups.items() and after.merge.alphas == before.merge.alphas
    path.write_text(json.dumps({"soups": [], "choice": {"select_on": ["chain_select"]}}))
    with pytest.raises(UserError, match="none was evaluated; merge.soup of the recipe"):
        run(monkeypatch, "--soup", "--results", path, "--out", overlay)
