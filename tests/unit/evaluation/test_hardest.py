"""Which problems are hardest, and that the way of choosing them does not flatter anybody; budgets and length groups."""

import numpy as np
import pytest

from polaris.evaluation import lengths
from polaris.evaluation.hardest import halves, worst


def test_a_model_that_equals_the_base_gains_nothing_on_its_hardest_problems():
    """Chosen and scored on the same samples the base looks 12 points worse than its twin; on its other samples it does
    not.
    """
    rng = np.random.default_rng(0)
    naive, fair = [], []
    for _ in range(300):
        skill_P = rng.beta(2, 2, size=(100, 1))
        base_PG, twin_PG = rng.random((100, 8)) < skill_P, rng.random((100, 8)) < skill_P
        chose_P, others_P = halves(base_PG)
        places = worst(chose_P, 20, rng)
        fair.append(twin_PG.mean(axis=1)[places].mean() - others_P[places].mean())
        places = worst(base_PG.mean(axis=1), 20, rng)
        naive.append(twin_PG.mean(axis=1)[places].mean() - base_PG.mean(axis=1)[places].mean())
    assert np.mean(naive) > 0.05
    assert abs(np.mean(fair)) < 3 * np.std(fair) / np.sqrt(len(fair))


def test_ties_are_drawn_by_lot():
    share_P = np.array([0.5, 0.0, 0.0, 0.0, 0.0])
    found = {tuple(sorted(worst(share_P, 2, np.random.default_rng(seed)))) for seed in range(50)}
    assert found == {(a, b) for a in range(1, 5) for b in range(a + 1, 5)}
    assert (
        worst(share_P, 9, np.random.default_rng(0))[-1] == 0 and len(worst(share_P, 9, np.random.default_rng(0))) == 5
    )


def test_one_sample_has_no_other_half():
    with pytest.raises(ValueError, match="one sample"):
        halves(np.ones((3, 1), dtype=bool))


def test_length_groups_of_v1():
    bounds = [16384, 32768]
    assert lengths.group_names(bounds) == ["below 16,384", "16,384 to 32,767", "from 32,768"]
    assert lengths.groups(np.array([[1, 16383, 16384], [32767, 32768, 90000]]), bounds).tolist() == [
        [0, 0, 1],
        [1, 2, 2],
    ]
    assert lengths.group_names([5]) == ["below 5", "from 5"]


def test_a_budget_cuts_longer_responses():
    correct_PG, tokens_PG = np.array([[True, True, False]]), np.array([[10, 11, 3]])
    assert lengths.within(correct_PG, tokens_PG, 10).tolist() == [[True, False, False]]
    assert lengths.budgets(81) == [11, 21, 31, 41, 51, 61, 71, 81] and lengths.budgets(3) == [1, 2, 3]
