"""Dates of models and sets: a recipe's own and the presets', of what is trained from them, and wrong ones."""

import pytest

from polaris.recipe import recipe
from polaris.recipe.model_dates import model_dates
from polaris.stage.errors import UserError
from tests.helpers.recipes import LAPTOP, ROOT

AUDIT = """
extends: [evaluation]
run: dated
inputs:
  models: {mine: {path: /m, date: %s}, other: {path: /o}}
  benchmarks: [aime26, {own: {file: own.jsonl, gold: every, k: 2, date: %s}}]
"""


def of(tmp_path, model: str, benchmark: str) -> recipe.Recipe:
    (tmp_path / "dated.yaml").write_text(AUDIT % (model, benchmark))
    return recipe.load([tmp_path / "dated.yaml"])


@pytest.mark.parametrize("written", ["2025", "'2025'", "2025-02", "2025-02-14", "'2025-02-14'"])
def test_a_date_as_people_write_it(tmp_path, written):
    made = of(tmp_path, written, written)
    assert model_dates(made) == {"mine": written.strip("'")}
    assert made.inputs.benchmarks["own"].date == written.strip("'")


@pytest.mark.parametrize(
    "wrong", ["2025-13", "2025-2-1", "'14.2.2025'", "soon", "20250214", "'2025-W01'", "true", "'20'"]
)
def test_a_wrong_date_is_one_sentence(tmp_path, wrong):
    with pytest.raises(UserError) as error:
        of(tmp_path, wrong, "2025")
    assert "inputs.models.mine.date" in str(error.value) and len(str(error.value).splitlines()) == 1
    with pytest.raises(UserError, match=r"inputs.benchmarks.own.date"):
        of(tmp_path, "2025", wrong)


def test_what_is_trained_is_as_late_as_what_it_was_trained_from():
    dates = model_dates(recipe.load([ROOT / "configs/polaris_v2.yaml"]))
    assert dates["base_small"] == "2025-08" and dates["base_large"] == "2025-07"
    assert dates["core_filtered"] == dates["distilled"] == dates["alpha=0.50"] == "2025-08"
    audit = model_dates(recipe.load([ROOT / "configs/polaris_v2_audit.yaml"]))
    assert audit["core_filtered"] == "2026-03" and audit["r1_llama"] == "2025-01"
    assert model_dates(recipe.load([LAPTOP])) == {}  # tiny models, problems made here
