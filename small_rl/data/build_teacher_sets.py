"""Verb: CORE's consensus sets from a teacher's verified answers, or as a placebo the sets of other problems.

Sets of its own correct rollouts reward the policy for what it does already. A teacher's sets hold new information, and
the placebo shows whether a gain comes from that information or from rewards that differ at all. Its sets are the
teacher's intermediate results: a training drops what states its own problem's answer, and cannot know another's.
"""

from polaris.stage.errors import UserError
from polaris.stage.records import CONSENSUS, read_problems, write_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.data.build_rl_data import consensus_sets, teacher_answers
from small_rl.reward.core import of_other_problems
from small_rl.reward.intermediate import intermediate
from small_rl.study_settings import TeacherSets


def main() -> None:
    module = "small_rl.data.build_teacher_sets"
    with Stage.from_command_line(module, TeacherSets, inputs=("problems",), optional=("teacher",)) as stage:
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        answers = teacher_answers(stage, problems)
        rows = consensus_sets(answers, set(problems)).rows()
        if stage.settings.placebo:  # what `results: intermediate` would leave out of the teacher's own sets
            rows = [row for row in rows if intermediate([row["step"]], problems[row["problem_id"]]["answers"])]
        covered = {row["problem_id"] for row in rows}
        right = sum(row["correct"] for row in answers)
        if len(covered) < 2:
            raise UserError(
                f"{stage.name}: only {len(covered)} problems have underlined results in a right answer ({right} of "
                f"{len(answers)} answers of the teacher are right); two are needed"
            )
        ordered = [problem_id for problem_id in problems if problem_id in covered]
        write_rows(
            stage.partial / "consensus.parquet",
            of_other_problems(rows, ordered) if stage.settings.placebo else rows,
            CONSENSUS,
        )
        stage.say(f"{len(covered)} of {len(problems)} problems have a set, from {right} of {len(answers)} answers")
        stage.publish(
            metrics={
                "consensus_sets": len(covered),
                "consensus_steps": len(rows),
                "answers": len(answers),
                "right": right,
            }
        )


if __name__ == "__main__":
    run_verb(main)
