"""Zones and choices on the series of V1's figures, and on tables made for each rule."""

import pytest

from polaris.grading.diversity import distinct_share
from small_rl.studies.temperature import (
    BELOW,
    COLLAPSE,
    EXPLORATION,
    ROBUST,
    Point,
    entropy_fall,
    first_choice,
    grid_step,
    largest_gap,
    reset_choice,
    zones,
)

# V1 blog, read from its figure: temperature, diversity and accuracy on AIME24, in %.
QWEN3_4B = [(0.1, 28, 57), (0.4, 38, 74), (0.6, 42, 74), (0.8, 45, 74), (1.0, 47, 74), (1.2, 55, 73), (1.4, 63, 74),
            (1.6, 84, 50)]  # fmt: skip
R1_7B = [(0.1, 24, 40), (0.4, 45, 53), (0.6, 57, 55), (0.8, 63, 51.5), (1.0, 80, 42), (1.2, 91, 11.5), (1.4, 99, 0),
         (1.6, 99.5, 0)]  # fmt: skip
# V1 trained the 7B at 0.7, between two points of its figure; on the line between them that is this one.
R1_7B_WITH_07 = [*R1_7B[:3], (0.7, 60, 53.25), *R1_7B[3:]]


def points(rows) -> list[Point]:
    return [Point(t, accuracy / 100, None if d is None else d / 100) for t, d, accuracy in rows]


@pytest.mark.parametrize(
    ("rows", "tolerance", "chosen"),
    [
        (QWEN3_4B, 0.03, 1.4),
        (R1_7B_WITH_07, 0.03, 0.7),
        (QWEN3_4B, 0.02, 1.4),
        (R1_7B_WITH_07, 0.0175, 0.7),
        (R1_7B_WITH_07, 0.017, 0.6),
        (R1_7B_WITH_07, 0.035, 0.8),
        (R1_7B, 0.03, 0.6),
        (QWEN3_4B, 0.0, 1.4),
    ],
)
def test_the_first_choice_on_v1s_figures(rows, tolerance, chosen):
    """V1 chose 1.4 for Qwen3-4B and 0.7 for R1-Distill-Qwen-7B: both follow from any tolerance in [1.75, 3.5)
    points.
    """
    assert first_choice(points(rows), tolerance).temperature == chosen


def test_zones_of_v1s_figures():
    assert zones(points(QWEN3_4B), 0.03, 0.15) == [BELOW] + [ROBUST] * 6 + [COLLAPSE]
    assert zones(points(R1_7B), 0.03, 0.15) == [BELOW, ROBUST, ROBUST, EXPLORATION, EXPLORATION] + [COLLAPSE] * 3


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([50, 50, 50], [ROBUST] * 3),
        ([50, 60, 50], [BELOW, ROBUST, EXPLORATION]),
        ([60, 50, 60], [BELOW, BELOW, ROBUST]),  # of two equally good ones the hotter; a dip ends the zone
        ([60, 30, 50], [ROBUST, COLLAPSE, COLLAPSE]),  # what lies above a collapse has collapsed
        ([60, 59, 57, 56.9], [ROBUST, ROBUST, ROBUST, EXPLORATION]),  # exactly the tolerance still counts
    ],
)
def test_zones_are_contiguous(accuracies, expected):
    assert zones(points([(i + 1, 10, a) for i, a in enumerate(accuracies)]), 0.03, 0.2) == expected


GRID = [(1.40, 50, 70), (1.45, 56, 70), (1.50, 62, 69), (1.55, 70, 60)]


@pytest.mark.parametrize(
    ("rows", "target", "last", "chosen"),
    [
        (GRID, 60, 1.40, 1.50),
        (GRID, 57, 1.40, 1.45),
        (GRID, 59, 1.40, 1.45),  # equally near: the lower one
        (GRID, 80, 1.40, 1.50),  # 1.55 is nearer, but loses too much accuracy
        (GRID, 40, 1.45, 1.45),  # never below the last temperature
        (GRID, 60, 1.55, None),  # what is left loses too much
        ([(1.4, None, 70), (1.5, 62, 70)], 10, 1.4, 1.5),  # without diversity there is nothing to compare
        ([(1.4, None, 70), (1.5, None, 70)], 10, 1.4, None),
    ],
)
def test_the_reset(rows, target, last, chosen):
    found = reset_choice(points(rows), target / 100, last, 0.03)
    assert (found and found.temperature) == chosen


def test_the_step_of_a_reset_follows_the_entropy():
    assert entropy_fall([1.0] * 10 + [0.5] * 80 + [0.8] * 10) == pytest.approx(0.2)
    assert entropy_fall([0.4]) == 0.0 and entropy_fall([0.0, 0.1]) == 0.0
    assert entropy_fall([0.5, 1.0]) == -1.0
    assert grid_step(0.2, 0.2, 0.05, 0.1) == 0.05 and grid_step(0.21, 0.2, 0.05, 0.1) == 0.1


@pytest.mark.parametrize(
    ("grid", "last", "gap"),
    [([1.0, 1.4, 1.45, 1.5], 1.4, 0.05), ([1.4, 1.5, 1.55], 1.4, 0.1), ([1.2, 1.5], 1.4, 0.3), ([1.5, 1.55], 1.4, 0.1),
     ([1.0, 1.4], 1.4, 0.0)],
)  # fmt: skip
def test_the_largest_gap_counts_from_the_last_temperature(grid, last, gap):
    assert largest_gap(points([(t, 10, 10) for t in grid]), last) == gap


@pytest.mark.parametrize(
    ("responses", "share"),
    [
        (["a b c d e"], 1.0),
        (["a b c d", "a  b\nc\td"], 0.5),
        (["a a a a a a"], 1 / 3),
        (["a b c d e", "x", "", "b c d e"], 2 / 3),
        (["a b c", ""], None),
        ([], None),
    ],
)
def test_distinct_share(responses, share):
    assert distinct_share(responses) == share


def test_more_responses_lower_the_share():
    """Why temperatures are compared at equal n."""
    few = ["a b c d e f", "a b c d e g"]
    assert distinct_share(few * 2) == distinct_share(few) / 2
