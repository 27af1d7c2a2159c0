"""Drop-easy: problems that an RL stage already solves are left out of the next one's data.

V1 blog: a sample's accuracy is updated whenever its rollouts are graded, starting from the offline difficulty; at the
end of a stage those above 0.9 are removed. The published script crashes; it would take the mean over the stage's
visits.
Legend: _P problem.
"""

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any, Literal

TOO_EASY = "too_easy"


def logged_accuracy(rows: Iterable[dict[str, Any]], rule: Literal["mean", "last"]) -> dict[str, float]:
    """Accuracy by problem from rows of polaris.stage.records.ACCURACY: over all its visits, or of its last one.

    A step that occurs twice counts once, as it was logged last.
    """
    visits: dict[str, dict[int, float]] = {}
    for row in rows:
        visits.setdefault(row["problem_id"], {})[row["step"]] = row["accuracy"]
    if rule == "last":
        return {problem_id: by_step[max(by_step)] for problem_id, by_step in visits.items()}
    return {problem_id: fmean(by_step.values()) for problem_id, by_step in visits.items()}


def easy_because(logged_P: Mapping[str, float], offline_P: Mapping[str, float], above: float) -> dict[str, str | None]:
    """Per problem of `offline_P` the reason to leave it out (None: it stays). above: accuracy in [0, 1].

    A problem that the stage never visited is judged by its offline accuracy.
    """
    return {
        problem_id: TOO_EASY if logged_P.get(problem_id, offline) > above else None
        for problem_id, offline in offline_P.items()
    }
