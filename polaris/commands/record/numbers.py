"""Verdicts -> every number of published results, for `polaris publish`, and once more for `polaris verify`."""

from collections.abc import Mapping, Sequence
from typing import Any

from polaris.evaluation import results
from polaris.evaluation.published_differences import published_differences
from polaris.evaluation.settings import Published, Resampling
from polaris.evaluation.verdicts import Tables
from polaris.stage.code import digest, module_name

Rows = list[dict[str, Any]]


def graded_by() -> str:
    """The code that decides whether an answer is right, as a digest."""
    return digest(module_name("polaris.grading.grading_pool"))


def computed_by() -> str:
    """The code that computes numbers from verdicts, as a digest."""
    return digest(module_name("polaris.evaluation.statistics"), module_name("polaris.evaluation.significance"))


def all_numbers(
    tables: Tables,
    compared: Sequence[tuple[str, str]],
    resampling: Resampling,
    select_on: Sequence[str],
    published: Published | None,
) -> tuple[Rows, Rows, Rows]:
    """`scores`, `pairs` and `judgements` of a record. compared: (a, b) of its pairs

    p is that of each comparison alone: the corrected one is over comparisons of the report that may not be here.
    """
    own = (resampling.confidence, resampling.resamples, resampling.seed, select_on)
    numbers = results.Numbers(tables, *own)
    scores = [_without(row, "start", "steps") for row in results.model_rows(numbers, {})]
    pairs = results.pair_rows(numbers, [("", a, b) for a, b in compared]) if compared else []
    judgements = published_differences(pairs, published)
    return scores, [_without(row, "family", "p_holm") for row in pairs], judgements


def _without(row: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}
