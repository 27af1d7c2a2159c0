"""Which temperature an RL stage samples at: the zones of a grid, the first choice, the reset between stages.

V1 blog, temperature: accuracy is flat up to some temperature (robust generation), then a little lower while diversity
rises (controlled exploration), then it breaks down (performance collapse). Training starts at the end of the first
zone; before each later stage the temperature is set so that diversity is again what it was at the start of the first.
What "flat", "broken down" and "about the same" mean in numbers is not given there: it is a setting here.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

BELOW, ROBUST = "below the robust zone", "robust generation"
EXPLORATION, COLLAPSE = "controlled exploration", "performance collapse"
ROUNDING = 1e-9  # accuracies are shares of counts: 0.74 - 0.03 must not be more than 0.71


@dataclass(frozen=True)
class Point:
    """One temperature of the grid. accuracy: share in [0, 1]; diversity: as `distinct_share`, None where undefined"""

    temperature: float
    accuracy: float
    diversity: float | None


def robust_zone(points: Sequence[Point], tolerance: float) -> tuple[int, int]:
    """First and last index of the temperatures around the most accurate one that lose at most `tolerance` against it.

    points: by rising temperature. Of several most accurate ones the hottest is taken: it is the most diverse.
    """
    best = max(range(len(points)), key=lambda i: (points[i].accuracy, i))
    flat = [point.accuracy >= points[best].accuracy - tolerance - ROUNDING for point in points]
    first = last = best
    while first > 0 and flat[first - 1]:
        first -= 1
    while last + 1 < len(points) and flat[last + 1]:
        last += 1
    return first, last


def zones(points: Sequence[Point], tolerance: float, collapse: float) -> list[str]:
    """The zone of each temperature; from the first above the robust zone that loses more than `collapse`, all have
    collapsed.

    points: by rising temperature; tolerance, collapse: accuracy lost against the best, in [0, 1]
    """
    first, last = robust_zone(points, tolerance)
    lowest = max(point.accuracy for point in points) - collapse - ROUNDING
    names = [BELOW] * first + [ROBUST] * (last - first + 1)
    for point in points[last + 1 :]:
        fallen = names[-1] == COLLAPSE or point.accuracy < lowest
        names.append(COLLAPSE if fallen else EXPLORATION)
    return names


def first_choice(points: Sequence[Point], tolerance: float) -> Point:
    """Where accuracy begins to decline: the hottest temperature of the robust zone."""
    return points[robust_zone(points, tolerance)[1]]


def reset_choice(points: Sequence[Point], target: float, last: float, tolerance: float) -> Point | None:
    """The temperature whose diversity is nearest to `target`, the lower of two equally near ones; None without any.

    Only temperatures that lose at most `tolerance` against the best are taken, and none below `last`, that of the stage
    before: training makes a model less varied, never more.
    """
    lowest = max(point.accuracy for point in points) - tolerance - ROUNDING
    ranked = [
        (abs(point.diversity - target), point.temperature, point)
        for point in points
        if point.diversity is not None and point.accuracy >= lowest and point.temperature >= last - ROUNDING
    ]
    return min(ranked, key=lambda entry: entry[:2])[2] if ranked else None


def entropy_fall(entropy_steps: Sequence[float]) -> float:
    """Share of its policy entropy that a training lost: mean of the last tenth of its steps against the first
    tenth's.
    """
    tenth = max(1, len(entropy_steps) // 10)
    before, after = sum(entropy_steps[:tenth]), sum(entropy_steps[-tenth:])
    return 1 - after / before if before > 0 else 0.0


def grid_step(fall: float, slight: float, fine: float, wide: float) -> float:
    """How far apart the temperatures of a reset are: `fine` after a slight fall of entropy, `wide` after another."""
    return fine if fall <= slight else wide


def largest_gap(points: Sequence[Point], last: float) -> float:
    """The widest step between neighbouring temperatures from the hottest that is not above `last` on; 0 without any."""
    at = [point.temperature for point in points]
    start = max([t for t in at if t <= last + ROUNDING], default=last)
    rising = [start, *(t for t in at if t > start)]
    return max((round(b - a, 9) for a, b in itertools.pairwise(rising)), default=0.0)
