"""`polaris compare`: the numbers of two models on the same questions, and errors for what cannot be compared."""

import numpy as np
import pytest

from polaris import compare
from polaris.errors import UserError
from polaris.verdicts import Verdicts


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


def test_other_questions_do_not_compare():
    with pytest.raises(UserError, match="benchmark x lacks problem p40"):
        compare.lines("a", "b", {"a": {"x": verdicts(1.0)}, "b": {"x": verdicts(1.0, problems=41)}})


def test_an_unknown_model_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="core: there are no scores of a model called so in runs/laptop/scores"):
        compare.scores_of("core", "laptop")
