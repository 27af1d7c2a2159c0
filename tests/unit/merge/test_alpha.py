"""The one spelling of alpha."""

import math

import pytest
from pydantic import ValidationError

from merge.alpha import spelled
from merge.settings import Merge, MergeOne
from tests.helpers.merge_checkpoints import MERGING


@pytest.mark.parametrize(
    ("alpha", "text"),
    [(0, "0.00"), (1, "1.00"), (1.0, "1.00"), (0.3, "0.30"), (0.25, "0.25"), (0.375, "0.375"), (0.000001, "0.000001")],
)
def test_spelling(alpha, text):
    assert spelled(alpha) == text


def test_the_spelling_can_be_read_back_and_is_unique():
    alphas = [i / 1000 for i in range(1001)]
    names = [spelled(alpha) for alpha in alphas]
    assert [float(name) for name in names] == alphas
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("alpha", [-0.01, 1.01, math.nan, math.inf, 0.1234567, 1 / 3, 0.1 + 0.2])
def test_no_spelling(alpha):
    with pytest.raises(ValueError, match="alpha"):
        spelled(alpha)


def test_recipe_refuses_one_alpha_twice_and_alphas_outside():
    sweep = {"select_on": [], "keep": "all", "selected": None}
    assert Merge(alphas=[0, 0.5, 1], **sweep, **MERGING).alphas == [0, 0.5, 1]
    for alphas in ([0.3, 0.30], [], [1.5], [0.1234567]):
        with pytest.raises(ValidationError):
            Merge(alphas=alphas, **sweep, **MERGING)
    for alpha in (0, 1, 1e-9):  # no merges: the distilled model and the base; and what has no spelling
        with pytest.raises(ValidationError):
            MergeOne(alpha=alpha, **MERGING)


def test_recipe_refuses_contradictions():
    with pytest.raises(ValidationError, match="selected: 0.40 is none of the alphas"):
        Merge(alphas=[0.3, 0.5], select_on=[], keep="selected", selected=0.4, **MERGING)
    slerp = {"method": "slerp", "parameters": {"t": "1 - alpha"}, "base": {}, "distilled": {}}
    assert MergeOne(alpha=0.3, **MERGING | {"backend": "mergekit", "mergekit": slerp}).mergekit.method == "slerp"
    with pytest.raises(ValidationError, match="needs backend: mergekit"):
        MergeOne(alpha=0.3, **MERGING | {"mergekit": slerp})
