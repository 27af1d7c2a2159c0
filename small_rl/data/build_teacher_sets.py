"""Verb: CORE's consensus sets from outside the policy: a teacher's verified answers, or as a placebo those of other
problems.

With sets of its own correct rollouts the policy is paid for what it does already. A teacher's sets tell it more, and
the placebo says whether a gain comes from what they tell or from rewards that differ at all.
"""

from polaris.stage.errors import UserError
from polaris.stage.records import CONSENSUS, read_problems, write_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.data.build_rl_data import consensus_of, taught
from small_rl.reward.core import of_other_problems
from small_rl.study_settings import TeacherSets


def main() -> None:
    how = {"inputs": ("problems",), "optional": ("teacher",)}
    with Stage.from_command_line("small_rl.data.build_teacher_sets", TeacherSets, **how) as stage:
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        answers = taught(stage, problems)
        rows = consensus_of(answers, set(problems)).rows()
        found = list(dict.fromkeys(row["problem_id"] for row in rows))
        right = sum(row["correct"] for row in answers)
        if len(found) < 2:
            raise UserError(
                f"{stage.name}: {right} of {len(answers)} answers of the teacher are right, and {len(found)} problems "
                "have underlined results in them; two are needed"
            )
        given = [problem_id for problem_id in problems if problem_id in set(found)]
        write_rows(
            stage.partial / "consensus.parquet",
            of_other_problems(rows, given) if stage.settings.placebo else rows,
            CONSENSUS,
        )
        stage.say(f"{len(found)} of {len(problems)} problems have a set, from {right} of {len(answers)} answers")
        stage.publish(
            metrics={
                "consensus_sets": len(found),
                "consensus_steps": len(rows),
                "answers": len(answers),
                "right": right,
            }
        )


if __name__ == "__main__":
    run_verb(main)
