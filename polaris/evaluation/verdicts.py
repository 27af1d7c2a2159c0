"""One model's verdicts on one benchmark as tables: what every number of the report is computed from.

Legend: _P problem, _G response of a problem's group.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polaris.grading.answers import FAILURES, NO_ANSWER, NO_THINK, UNPARSEABLE_GOLD, normal_form
from polaris.stage.errors import UserError

# Stands for the unweighted mean over the headline benchmarks wherever a benchmark is named.
AVERAGE = "average"
WITHOUT_ANSWER = (NO_ANSWER, NO_THINK)
UNGRADED = (*sorted(FAILURES), UNPARSEABLE_GOLD)


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """One model's verdicts on one benchmark.

    problems: ids, sorted; the tables are [problems, samples] in that order
    correct_PG: bool; tokens_PG: length of the response; truncated_PG: bool, it reached max_tokens
    no_answer_PG: bool, it ended by itself without an answer; ungraded_PG: bool, the grader could not say
    vote_PG: number of the answer's normal form, -1 without an answer
    distinct_P: distinct 4-grams / 4-grams of the problem's responses (polaris/grading/diversity.py), nan where
        undefined
    """

    problems: tuple[str, ...]
    correct_PG: NDArray[np.bool_]
    tokens_PG: NDArray[np.int64]
    truncated_PG: NDArray[np.bool_]
    no_answer_PG: NDArray[np.bool_]
    ungraded_PG: NDArray[np.bool_]
    vote_PG: NDArray[np.int64]
    distinct_P: NDArray[np.float64]

    @property
    def samples(self) -> int:
        return self.correct_PG.shape[1]


Tables = Mapping[str, Mapping[str, Verdicts]]  # model -> benchmark -> verdicts


def tabulate(where: str, column: Mapping[str, NDArray[Any]], distinct: Mapping[str, float | None]) -> Verdicts:
    """Verdicts of one benchmark from the columns of records.GRADED in any order, one entry per response.

    distinct: problem -> share of distinct 4-grams, None (or no entry) where undefined
    Raises UserError when a sample is missing or repeated, and for a single problem.
    """
    problems, row = np.unique(column["problem_id"].astype(str), return_inverse=True)
    found_P = np.bincount(row)
    samples = int(found_P.max())
    for index in np.flatnonzero(found_P != samples):
        raise UserError(
            f"{where}: problem {problems[index]} has {found_P[index]} samples, others have {samples}; grade it again"
        )
    if len(problems) < 2:
        raise UserError(
            f"{where}: only {len(problems)} problem; an interval needs two; add problems or drop the benchmark"
        )
    order = np.lexsort((column["sample"], row))

    def table(values: NDArray[Any]) -> NDArray[Any]:
        return values[order].reshape(-1, samples)

    for index in np.flatnonzero((table(column["sample"]) != np.arange(samples)).any(axis=1)):
        raise UserError(f"{where}: problem {problems[index]}: its samples are not 0 to {samples - 1}; grade it again")
    reason, shares = column["reason"].astype(str), [distinct.get(problem) for problem in problems.tolist()]
    return Verdicts(
        problems=tuple(problems.tolist()),
        correct_PG=table(column["correct"].astype(np.bool_)),
        tokens_PG=table(column["tokens"].astype(np.int64)),
        truncated_PG=table(column["finish_reason"].astype(str) == "length"),
        no_answer_PG=table(np.isin(reason, WITHOUT_ANSWER)),
        ungraded_PG=table(np.isin(reason, UNGRADED)),
        vote_PG=table(votes(column["answer"])),
        distinct_P=np.array([np.nan if share is None else share for share in shares], dtype=np.float64),
    )


def votes(answers: Iterable[str | None]) -> NDArray[np.int64]:
    """A number per normal form of the answers, -1 for none."""
    number: dict[str, int] = {}
    vote_of: dict[str | None, int] = {None: -1}  # computing a normal form takes far longer than a look-up
    for answer in answers:
        if answer is not None and answer not in vote_of:
            vote_of[answer] = number.setdefault(normal_form(answer), len(number))
    return np.array([vote_of[answer] for answer in answers], dtype=np.int64)


def check_tables(tables: Tables, wanted: Sequence[str]) -> None:
    """Raises UserError unless the tables are those of the wanted models, all on the same questions."""
    if missing := [name for name in wanted if name not in tables]:
        raise UserError(f"--scores: no scores of {', '.join(missing)}, named in the report's settings")
    if extra := [name for name in tables if name not in wanted]:
        raise UserError(
            f"--scores: {', '.join(extra)} is in none of ladder, generalists, models, alphas of the report's settings"
        )
    first = wanted[0]
    if AVERAGE in tables[first]:
        raise UserError(f"benchmark {AVERAGE}: rename it; this name is the mean over the benchmarks")
    for name in wanted[1:]:
        if odd := sorted(set(tables[first]) ^ set(tables[name])):
            lacking = name if odd[0] in tables[first] else first
            raise UserError(f"scores of {lacking}: benchmark {odd[0]} is missing, which other models have")
        for benchmark, verdicts in tables[first].items():
            if odd := sorted(set(verdicts.problems) ^ set(tables[name][benchmark].problems)):
                lacking = name if odd[0] in verdicts.problems else first
                raise UserError(f"scores of {lacking}: benchmark {benchmark} lacks problem {odd[0]}, which others have")
