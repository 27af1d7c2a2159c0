"""`polaris compare`: the numbers of two models on the same questions, and errors for what cannot be compared."""

import numpy as np
import pytest

from polaris.evaluation import compare
from polaris.evaluation.verdicts import Verdicts
from polaris.stage.errors import UserError


def verdicts(share: float, problems: int = 40, k: int = 8) -> Verdicts:
    """Half of the questions solved with `share`, the others never."""
    correct_PG = np.zeros((problems, k), dtype=bool)
    correct_PG[::2, : round(share * k)] = True
    never_PG, zero_PG = np.zeros_like(correct_PG), np.zeros(correct_PG.shape, dtype=int)
    names = tuple(f"p{i:02}" for i in range(problems))
    return Verdicts(names, correct_PG, zero_PG, never_PG, never_PG, never_PG, zero_PG, np.zeros(problems))


def test_the_table():
    tables = {"a": {"x": verdicts(1.0), "y": verdicts(0.5)}, "b": {"x": verdicts(0.5), "y": verdicts(0.5)}}
    text = compare.lines("a", "b", tables)
    assert text[0].startswith("a against b: avg@k")
    head, _, x, y, both = text[1:6]
    assert head.split()[:4] == ["benchmark", "questions", "a", "b"]
    assert x.startswith("x") and "50.0 [" in x and "+25.0 [+" in x and "< 0.001" in x
    assert "0.0 [0.0, 0.0]" in y and y.split()[-2:] == ["1.00", "–"]
    assert both.startswith("their mean") and "+12.5 [" in both


def test_over_replicates():
    runs = {"r0": 1.0, "r1": 0.75, "r2": 0.75}
    tables = {run: {"a": {"x": verdicts(share)}, "b": {"x": verdicts(0.5)}} for run, share in runs.items()}
    head, _, x = compare.pooled_lines("a", "b", tables)[1:4]
    assert head.split()[:5] == ["benchmark", "questions", "r0", "r1", "r2"]
    cells = x.split()
    assert cells[:7] == ["x", "40", "x", "8", "+25.0", "+12.5", "+12.5"]
    assert cells[7] == "+16.7"
    # 16.7 -+ 4.303 * 7.22 / sqrt(3)
    assert cells[-2:] == ["[−1.3,", "+34.6]"]


def test_replicates_answer_the_same_questions():
    tables = {run: {model: {"x": verdicts(1.0, n)} for model in "ab"} for run, n in (("r0", 40), ("r1", 41))}
    with pytest.raises(UserError, match="scores of r0: benchmark x lacks problem p40"):
        compare.pooled_lines("a", "b", tables)


@pytest.mark.parametrize(("a", "b", "runs"), [("x", "y", ["r", "r"]), ("x", "x", ["r", "s"]), ("p/x", "y", ["r", "s"])])
def test_what_is_no_replicate(a, b, runs):
    with pytest.raises(UserError, match="name different runs"):
        compare.main(a, b, runs)


def test_other_questions_do_not_compare():
    with pytest.raises(UserError, match="benchmark x lacks problem p40"):
        compare.lines("a", "b", {"a": {"x": verdicts(1.0)}, "b": {"x": verdicts(1.0, problems=41)}})


def test_an_unknown_model_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="core: no such model in runs/laptop/scores"):
        compare.scores_of("core", "laptop")
