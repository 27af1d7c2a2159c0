"""Verb: which responses are right. For a file without a run: polaris/grading/grade_file.py."""

import collections
from typing import Any

from polaris.grading.answers import FAILURES, golds_from
from polaris.grading.diversity import distinct_share
from polaris.grading.grading_pool import GradingPool, Verdict
from polaris.grading.settings import Grading
from polaris.stage.errors import UserError
from polaris.stage.manifest import Manifest
from polaris.stage.progress import Progress
from polaris.stage.records import DIVERSITY, GRADED, RESPONSES, read_problems, read_rows, write_rows
from polaris.stage.stage import Stage, run_verb

CHUNK = 2000  # responses between two lines of progress


def grade_responses(
    responses: list[dict[str, Any]], problems: dict[str, dict[str, Any]], grading: Grading
) -> list[dict[str, Any]]:
    """Rows of records.GRADED, one for each row of records.RESPONSES and in their order.

    problems: rows of records.PROBLEMS by id. Raises UserError for a response to another problem, for a problem without
    gold answers, and when the share of timeouts and crashes is above `grading.max_failure_rate`.
    """
    return _graded(responses, [_golds(row, problems) for row in responses], grading)


def _golds(response: dict[str, Any], problems: dict[str, dict[str, Any]]) -> list[str]:
    """The accepted answers of a response's problem."""
    problem = problems.get(response["problem_id"])
    where = f"problem {response['problem_id']} of set {response['set']}"
    if problem is None:
        raise UserError(f"{where}: there is a response to it, but it is not among the problems; generate anew")
    if not (golds := golds_from(problem["answers"])):
        raise UserError(f"{where}: it has no gold answer, so that no response to it can be graded")
    return golds


def _graded(responses: list[dict[str, Any]], golds: list[list[str]], grading: Grading) -> list[dict[str, Any]]:
    progress = Progress("grading", len(responses), unit="response")
    verdicts: list[Verdict] = []
    with GradingPool(grading.timeout, grading.workers, grading.grader) as pool:
        for start in range(0, len(responses), CHUNK):
            rows = responses[start : start + CHUNK]
            pairs = [(gold, row["response"]) for gold, row in zip(golds[start:], rows, strict=False)]
            verdicts += pool.grade(pairs, grading.format, [row["finish_reason"] == "length" for row in rows])
            progress.update(len(verdicts))
    counts = collections.Counter(verdict.reason for verdict in verdicts)
    failed = sum(counts[reason] for reason in FAILURES)
    if failed > grading.max_failure_rate * len(verdicts):
        told = ", ".join(f"{counts[reason]} {reason}" for reason in sorted(FAILURES))
        raise UserError(
            f"grading failed on {failed} of {len(verdicts)} responses ({told}), more than grading.max_failure_rate "
            f"{grading.max_failure_rate}: raise grading.timeout, or look at their answers"
        )
    columns = ("set", "problem_id", "sample", "tokens", "finish_reason")
    return [
        {name: row[name] for name in columns} | {"correct": v.correct, "reason": v.reason, "answer": v.answer}
        for row, v in zip(responses, verdicts, strict=True)
    ]


def summary(graded: list[dict[str, Any]]) -> dict[str, Any]:
    """Metrics of graded rows: accuracy and share cut at max_tokens per set, and how many ended for which reason."""
    sets: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for row in graded:
        sets[row["set"]].append(row)
    return {
        "responses": len(graded),
        "accuracy": {name: sum(r["correct"] for r in rows) / len(rows) for name, rows in sets.items()},
        "truncated": {
            name: sum(r["finish_reason"] == "length" for r in rows) / len(rows) for name, rows in sets.items()
        },
        "reasons": dict(collections.Counter(row["reason"] for row in graded).most_common()),
    }


def diversity_rows(responses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of records.DIVERSITY, one per set and problem, in the order of the responses."""
    texts: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for row in responses:
        texts[row["set"], row["problem_id"]].append(row["response"])
    return [
        {"set": name, "problem_id": problem, "distinct": distinct_share(group)}
        for (name, problem), group in texts.items()
    ]


def _sets(manifests: list[Manifest]) -> dict[str, dict[str, dict[str, Any]]]:
    """Problems by set and id."""
    sets: dict[str, dict[str, dict[str, Any]]] = {}
    for given in manifests:
        if given.stage in sets:
            raise UserError(f"--problems: two sets are named {given.stage} ({given.path}); names are their folders'")
        sets[given.stage] = read_problems(given.file("problems.parquet"))
    return sets


def grade_sets(responses: list[dict[str, Any]], problems: list[Manifest], grading: Grading) -> list[dict[str, Any]]:
    """Rows of records.GRADED for responses to the problems of several sets. Raises UserError as `grade_responses`."""
    sets = _sets(problems)
    if unknown := sorted({row["set"] for row in responses} - set(sets)):
        raise UserError(f"--problems: set {unknown[0]} has responses, but was not given (given: {' '.join(sets)})")
    return _graded(responses, [_golds(row, sets[row["set"]]) for row in responses], grading)


def main() -> None:
    with Stage.from_command_line(
        "polaris.grading.grade", Grading, inputs=("responses",), repeated=("problems",)
    ) as stage:
        responses = read_rows(stage.inputs["responses"].file("responses.parquet"), RESPONSES)
        graded = grade_sets(responses, stage.inputs["problems"], stage.settings)
        write_rows(stage.partial / "graded.parquet", graded, GRADED)
        write_rows(stage.partial / "diversity.parquet", diversity_rows(responses), DIVERSITY)
        metrics = summary(graded)
        stage.say(" ".join(f"{name} {value:.1%}" for name, value in metrics["accuracy"].items()) + " right")
        stage.say(", ".join(f"{count} {reason}" for reason, count in metrics["reasons"].items()))
        stage.publish(metrics=metrics)


if __name__ == "__main__":
    run_verb(main)
