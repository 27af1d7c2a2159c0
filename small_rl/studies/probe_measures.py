"""How similar the trajectories of a problem are, by their underlined results and by a judge: what probe.json holds.

V2 blog, the probing study. Legend: _P problem, _C class of pairs.
"""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np

from polaris.evaluation.settings import Resampling
from polaris.grading.answers import find_answer
from polaris.stage.errors import UserError
from small_rl.reward.intermediate import intermediate
from small_rl.reward.results import parse_results
from small_rl.studies import judge
from small_rl.studies.similarity import CLASSES, PairSums, class_rows, jaccard_sums, pair_classes
from small_rl.study_settings import Judge


def problem_groups(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per problem `correct` [G], `results` [G] and `inner` [G]: its results without those that state the final answer.

    rows: `problem_id`, `response`, `gold` (list) and `correct`. The final answer is the response's own, and the gold.
    """
    groups: dict[str, dict[str, Any]] = {}
    for row in rows:
        group = groups.setdefault(row["problem_id"], {"correct": [], "results": [], "inner": []})
        results = frozenset(parse_results(row["response"]))
        answers = [find_answer(row["response"], "none")[0] or "", *row["gold"]]
        inner = frozenset(intermediate(results, answers))
        for name, value in (("correct", row["correct"]), ("results", results), ("inner", inner)):
            group[name].append(value)
    return list(groups.values())


def judged(
    groups: list[dict[str, Any]], settings: Judge, report: Resampling, rng: np.random.Generator
) -> dict[str, Any]:
    """`judge` of probe.json: the rows of `class_rows` for the scores (1 to 10), and what became of the questions.

    Asked are at most settings.pairs pairs of a problem and class, drawn at random, with the final answer left out.
    """
    questions: list[tuple[int, int, judge.Lists]] = []
    empty_PC = np.zeros((len(groups), len(CLASSES)), dtype=int)
    for number, group in enumerate(groups):
        i, j, kind = pair_classes(group["correct"])
        lists = [sorted(results) for results in group["inner"]]
        for c in range(len(CLASSES)):
            pairs = np.flatnonzero(kind == c)
            for index in rng.permutation(pairs)[: settings.pairs]:
                a, b = lists[i[index]], lists[j[index]]
                if a and b:
                    questions.append((number, c, (a, b)))
                else:
                    empty_PC[number, c] += 1
    scores = judge.scores([pair for _, _, pair in questions], settings)
    sum_PC, pairs_PC = np.zeros(empty_PC.shape), np.zeros(empty_PC.shape, dtype=int)
    for (number, c, _), score in zip(questions, scores, strict=True):
        if score.value is not None:
            sum_PC[number, c] += score.value
            pairs_PC[number, c] += 1
    if not pairs_PC.any():
        raise UserError(f"judge: none of {len(questions)} replies was a score from 1 to 10 ({_reasons(scores)})")
    sums = [PairSums(*parts) for parts in zip(sum_PC, pairs_PC, empty_PC, strict=True)]
    rows = class_rows(sums, report.confidence, report.resamples, rng)
    return rows | {"asked": len(questions), "scored": int(pairs_PC.sum()), "without_score": _reasons(scores)}


def _reasons(scores: Sequence[judge.Score]) -> dict[str, int]:
    return dict(collections.Counter(score.problem for score in scores if score.problem))


def measure(rows: Sequence[dict[str, Any]], report: Resampling, settings: Judge | None) -> dict[str, Any]:
    """Everything that probe.json holds. Raises UserError where no problem has two trajectories."""
    groups = problem_groups(rows)
    if all(len(group["correct"]) < 2 for group in groups):
        raise UserError(f"{len(groups)} problems with one response each have no pair; give two of a problem at least")
    numbers: dict[str, Any] = {
        "problems": len(groups),
        "rollouts": len(rows),
        "accuracy": sum(row["correct"] for row in rows) / len(rows),
        "rollouts_without_steps": sum(not results for group in groups for results in group["results"]),
        "answer_steps": sum(
            len(results - inner)
            for group in groups
            for results, inner in zip(group["results"], group["inner"], strict=True)
        ),
        "confidence": report.confidence,
    }
    rng = np.random.default_rng(report.seed)
    for name, key in (("with_answer", "results"), ("without_answer", "inner")):
        sums = [jaccard_sums(group[key], group["correct"]) for group in groups]
        numbers[name] = class_rows(sums, report.confidence, report.resamples, rng)
    return numbers | {"judge": judged(groups, settings, report, rng) if settings else None}
