"""Files that Snakemake would misread are refused, or dated anew where they are the run's own."""

import os
import time
from pathlib import Path

import pytest

from polaris.models.settings import GgufModel
from polaris.problems.settings import FileProblems
from polaris.recipe import recipe
from polaris.recipe.snakemake_inputs import check_local_files, redate
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError


@pytest.mark.parametrize(
    ("name", "ahead", "message"),
    [
        ("rows.jsonl", 3600, "inputs.problems.rl.file: .*/rows.jsonl is dated in the future .2.*touch"),
        ("rows{set}.jsonl", -1, "inputs.problems.rl.file: .*/rows.set..jsonl: Snakemake takes braces for a wildcard"),
        ("rows.jsonl", -1, None),
        ("missing.jsonl", None, None),
    ],
)
def test_problem_files(tmp_path, name, ahead, message):
    path = tmp_path / name
    if ahead is not None:
        path.touch()
        os.utime(path, (now := time.time() + ahead, now))
    source = {"file": str(path), "gold": "every", "count": None, "date": None, "max_rows": None}
    laptop = recipe.load([ROOT / "configs/laptop.yaml"])
    problems = laptop.inputs.problems | {"rl": FileProblems(**source)}
    asked = laptop.model_copy(update={"inputs": laptop.inputs.model_copy(update={"problems": problems})})
    if message is None:
        return check_local_files(asked)
    with pytest.raises(UserError, match=message):
        check_local_files(asked)


def test_targets_of_the_future_get_the_present_date_in_their_order(tmp_path):
    old, names = time.time() - 86400, ("b/data.json", "a/checkpoint.json", "temperature/first/T=0.60/data.json")
    for hours, name in enumerate(names, 1):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (date := time.time() + 3600 * hours, date))
    (tmp_path / "a/data.json").touch()
    os.utime(tmp_path / "a/data.json", (old, old))
    redate(tmp_path)
    dates = [(tmp_path / name).stat().st_mtime for name in names]
    assert dates == sorted(dates) and dates[-1] <= time.time() and dates[0] > old
    assert (tmp_path / "a/data.json").stat().st_mtime == old and (tmp_path / names[0]).read_text() == names[0]


def test_a_model_file_with_braces_is_refused():
    laptop = recipe.load([ROOT / "configs/laptop.yaml"])
    inputs = laptop.inputs.model_copy(update={"base_small": GgufModel(gguf=Path("a{b}.gguf"))})
    with pytest.raises(UserError, match="inputs.base_small.gguf: a.b..gguf: Snakemake takes braces for a wildcard"):
        check_local_files(laptop.model_copy(update={"inputs": inputs}))
