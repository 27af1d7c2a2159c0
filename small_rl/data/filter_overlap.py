"""Verb: keep the problems whose wrong answers share results with right ones (V2 blog, "Filtering")."""

import collections
import statistics

import pyarrow as pa

from polaris.grading.grade import grade_responses, summary
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS, RESPONSES, read_problems, read_rows, write_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.data.data_cards import overlap_card
from small_rl.data.groups import by_problem
from small_rl.data.overlap import mean_overlap, select
from small_rl.reward.results import parse_results
from small_rl.settings import OverlapFilter

# One row per problem, dropped ones too. `overlap`: mean Jaccard overlap of (right, wrong) pairs, null without a pair.
OVERLAP = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("correct", pa.int32(), nullable=False),
        pa.field("k", pa.int32(), nullable=False),
        pa.field("overlap", pa.float64()),
        pa.field("kept", pa.bool_(), nullable=False),
    ]
)


def main() -> None:
    with Stage.from_command_line(
        "small_rl.data.filter_overlap", OverlapFilter, inputs=("problems", "responses")
    ) as stage:
        settings = stage.settings
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        responses = read_rows(stage.inputs["responses"].file("responses.parquet"), RESPONSES)
        graded = grade_responses(responses, problems, settings.grading)
        rows = [
            {"problem_id": g["problem_id"], "correct": g["correct"], "results": frozenset(parse_results(r["response"]))}
            for g, r in zip(graded, responses, strict=True)
        ]
        groups = by_problem(rows, problems)
        overlaps = {
            problem_id: mean_overlap([row["correct"] for row in group], [row["results"] for row in group])
            for problem_id, group in groups.items()
        }
        right = {problem_id: sum(row["correct"] for row in group) for problem_id, group in groups.items()}
        choice = (settings.keep, settings.threshold, settings.within, settings.without_pair)
        reasons, bound = select(overlaps, right, *choice)
        dropped = dict(collections.Counter(reason for reason in reasons.values() if reason).most_common())
        kept = [problem for problem_id, problem in problems.items() if reasons[problem_id] is None]
        if not kept:
            raise UserError(f"{stage.name}: no problem of {len(problems)} is left; dropped: {dropped}")
        table = [
            {
                "problem_id": problem_id,
                "correct": right[problem_id],
                "k": len(group),
                "overlap": overlaps[problem_id],
                "kept": reasons[problem_id] is None,
            }
            for problem_id, group in groups.items()
        ]
        write_rows(stage.partial / "problems.parquet", kept, PROBLEMS)
        write_rows(stage.partial / "overlap.parquet", table, OVERLAP)
        (stage.partial / "card.html").write_text(overlap_card(stage.name, table, dropped, bound))
        measured = [overlap for overlap in overlaps.values() if overlap is not None]
        stage.say(f"{len(kept)} of {len(problems)} problems kept, {len(measured)} had right and wrong answers")
        stage.publish(
            metrics={
                "kept": len(kept),
                "dropped": dropped,
                "bound": bound,
                "accuracy": statistics.fmean(row["correct"] / row["k"] for row in table),
                "accuracy_of_kept": statistics.fmean(row["correct"] / row["k"] for row in table if row["kept"]),
                "mean_overlap": statistics.fmean(measured) if measured else None,
                "grading": summary(graded),
            }
        )


if __name__ == "__main__":
    run_verb(main)
