"""Verb: problems of the right difficulty for RL, and the offline consensus sets of CORE.

V1 blog, data: k rollouts of a problem, too easy ones are dropped. V2 blog, 1: the underlined results of the correct
rollouts are the problem's consensus set; with `consensus: teacher` those of a teacher's verified answers.
"""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from polaris.charts import charts
from polaris.charts.figure_page import figure_page
from polaris.grading.grade import grade_responses, summary
from polaris.problems.solutions import from_solutions
from polaris.stage.errors import UserError
from polaris.stage.records import CONSENSUS, DIFFICULTY, PROBLEMS, RESPONSES, read_problems, read_rows, write_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.data.difficulty import dropped_because, histogram
from small_rl.data.groups import by_problem
from small_rl.reward.core import ConsensusSets
from small_rl.reward.results import parse_results
from small_rl.settings import RlData


def consensus_sets(graded: list[dict[str, Any]], kept: set[str]) -> ConsensusSets:
    """Results of the correct responses to the kept problems, all counts; the training applies `min_support`.

    graded: rows of records.GRADED with `response`; kept: problem ids
    """
    sets = ConsensusSets(min_support=1)
    for row in graded:
        if row["correct"] and row["problem_id"] in kept:
            sets.add(row["problem_id"], parse_results(row["response"]))
    return sets


def same_k(difficulty: Sequence[dict[str, Any]]) -> int:
    """Responses per problem. difficulty: rows of records.DIFFICULTY. Raises UserError when their numbers differ."""
    few, many = (choose(difficulty, key=lambda row: row["k"]) for choose in (min, max))
    if few["k"] != many["k"]:
        raise UserError(
            f"problem {few['problem_id']} has {few['k']} responses, problem {many['problem_id']} has {many['k']}: "
            "difficulties compare only at the same k; generate the responses again"
        )
    return few["k"]


def difficulty_card(name: str, difficulty: Sequence[dict[str, Any]], reasons: Mapping[str, str | None], k: int) -> str:
    """The page that shows which problems the filter keeps. reasons: problem -> reason it is dropped, or None."""
    read = histogram([row["correct"] for row in difficulty], k)
    kept = histogram([row["correct"] for row in difficulty if reasons[row["problem_id"]] is None], k)
    title = f"Problems by right responses of {k}"
    labels = [str(correct) for correct in range(k + 1)]
    drawn = charts.column_chart(labels, [("read", 3, read), ("kept", 0, kept)], title, f"right responses of {k}")
    why = {row["correct"]: reasons[row["problem_id"]] for row in difficulty}
    shape = "Sets of hard problems look like a mirrored J (V1 blog): most problems are never solved, few are solved by "
    shape += "chance, and more again nearly always. A set without the left arm is easy for this model."
    table = [("right responses", "problems", "kept", "dropped because")]
    table += [
        (f"{correct} of {k}", f"{read[correct]:,}", f"{kept[correct]:,}", (why.get(correct) or "–").replace("_", " "))
        for correct in range(k + 1)
    ]
    lead = [f"{sum(read):,} problems were read, {sum(kept):,} kept, by how often one model solved them."]
    notes = [f"With {k} responses a problem's place is rough: one of 0 may be solvable, one of {k} need not be easy."]
    return figure_page(f"Difficulty: {name}", lead, [(title, drawn, shape)], table, notes)


def teacher_answers(stage: Stage, problems: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """A teacher's answers, a model's or the problems' worked solutions: rows of records.GRADED with `response`.

    Raises UserError when there is none.
    """
    teacher = stage.inputs.get("teacher")
    responses = read_rows(teacher.file("responses.parquet"), RESPONSES) if teacher else from_solutions(problems)
    if not responses:
        raise UserError(f"{stage.name}: consensus: teacher needs worked solutions in the problems, or small_rl.teacher")
    graded = grade_responses(responses, problems, stage.settings.grading)
    return [g | {"response": r["response"]} for g, r in zip(graded, responses, strict=True)]


def main() -> None:
    inputs = ("problems", "responses")
    with Stage.from_command_line("small_rl.data.build_rl_data", RlData, inputs=inputs, optional=("teacher",)) as stage:
        settings = stage.settings
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        responses = read_rows(stage.inputs["responses"].file("responses.parquet"), RESPONSES)
        graded = grade_responses(responses, problems, settings.grading)
        with_text = [g | {"response": r["response"]} for g, r in zip(graded, responses, strict=True)]
        groups = by_problem(with_text, problems)
        difficulty = [
            {"problem_id": problem_id, "correct": sum(row["correct"] for row in group), "k": len(group)}
            for problem_id, group in groups.items()
        ]
        reasons = {
            row["problem_id"]: dropped_because(row["correct"], row["k"], settings.drop_above, settings.drop_unsolved)
            for row in difficulty
        }
        k = same_k(difficulty)
        dropped = collections.Counter(reason for reason in reasons.values() if reason)
        kept = [problem for problem_id, problem in problems.items() if reasons[problem_id] is None]
        if not kept:
            raise UserError(f"{stage.name}: no problem of {len(problems)} is left; dropped: {dict(dropped)}")
        answers = teacher_answers(stage, problems) if settings.consensus == "teacher" else with_text
        sets = consensus_sets(answers, {problem["id"] for problem in kept})
        write_rows(stage.partial / "problems.parquet", kept, PROBLEMS)
        write_rows(stage.partial / "consensus.parquet", sets.rows(), CONSENSUS)
        write_rows(stage.partial / "difficulty.parquet", difficulty, DIFFICULTY)
        (stage.partial / "card.html").write_text(difficulty_card(stage.name, difficulty, reasons, k))
        stage.say(f"{len(kept)} of {len(problems)} problems kept, {len(sets)} with a consensus set")
        stage.publish(
            metrics={
                "kept": len(kept),
                "dropped": dict(dropped.most_common()),
                "histogram": histogram([row["correct"] for row in difficulty], k),
                "consensus_sets": len(sets),
                "consensus_steps": len(sets.rows()),
                "grading": summary(graded),
            }
        )


if __name__ == "__main__":
    run_verb(main)
