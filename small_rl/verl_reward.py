"""The reward function of verl's reward workers: outcome and underlined steps of one response. No state of its own.

What depends on other responses (the consensus sets of CORE) is decided in one place, the trainer (verl_trainer.py).
"""

import functools
import json
from typing import Any

from polaris.grading_pool import GradingPool
from small_rl.steps import parse_steps


@functools.cache
def _pool(timeout: float, workers: int) -> GradingPool:
    """One pool per worker process; its processes end with this one (their standard input closes)."""
    return GradingPool(timeout, workers)


def compute_score(
    solution_str: str, ground_truth: str, format: str, timeout: float, workers: int, **unused: Any
) -> dict[str, Any]:
    """Called by verl for each response.

    ground_truth: JSON list of accepted answers; format, timeout, workers: the recipe's grading settings
    Returns score (1 or 0) and for the trainer: acc, reason (see polaris.answers), answer and steps as JSON.
    """
    verdict = _pool(timeout, workers).grade([(json.loads(ground_truth), solution_str)], format)[0]
    return {
        "score": float(verdict.correct),
        "acc": float(verdict.correct),
        "reason": verdict.reason,
        "answer": json.dumps(verdict.answer),
        "steps": json.dumps(parse_steps(solution_str)),
    }
