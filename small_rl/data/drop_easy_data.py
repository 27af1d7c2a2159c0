"""Verb: leave out the problems that an earlier RL stage already solves (V1 blog: accuracy above 0.9)."""

import pyarrow as pa

from polaris.stage.errors import UserError
from polaris.stage.records import ACCURACY, DIFFICULTY, PROBLEMS, read_problems, read_rows, write_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.data.data_cards import ease_card
from small_rl.data.drop_easy import easy_because, logged_accuracy
from small_rl.settings import DropEasy

# One row per problem, dropped ones too. `logged`: by the rule over the stage's visits, null without one; `offline`: by
# the difficulty rollouts.
EASE = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("logged", pa.float64()),
        pa.field("offline", pa.float64(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
    ]
)


def main() -> None:
    with Stage.from_command_line(
        "small_rl.data.drop_easy_data", DropEasy, inputs=("problems", "log", "difficulty")
    ) as stage:
        settings = stage.settings
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        logged = logged_accuracy(read_rows(stage.inputs["log"].file("accuracy.parquet"), ACCURACY), settings.rule)
        table = stage.inputs["difficulty"].file("difficulty.parquet")
        known = {row["problem_id"]: row["correct"] / row["k"] for row in read_rows(table, DIFFICULTY)}
        if missing := problems.keys() - known.keys():
            raise UserError(f"{table}: {len(missing)} of the stage's problems are missing, e.g. {min(missing)}")
        if problems.keys().isdisjoint(logged):
            log = stage.inputs["log"].path
            raise UserError(
                f"{log}: this stage was trained on none of the {len(problems)} problems; check drop_easy.log"
            )
        reasons = easy_because(logged, {problem_id: known[problem_id] for problem_id in problems}, settings.above)
        kept = [problem for problem_id, problem in problems.items() if reasons[problem_id] is None]
        if not kept:
            raise UserError(
                f"{stage.name}: all {len(problems)} problems are above {settings.above}; raise drop_easy.above"
            )
        ease = [
            {"problem_id": p, "logged": logged.get(p), "offline": known[p], "kept": reasons[p] is None}
            for p in problems
        ]
        write_rows(stage.partial / "problems.parquet", kept, PROBLEMS)
        write_rows(stage.partial / "ease.parquet", ease, EASE)
        (stage.partial / "card.html").write_text(ease_card(stage.name, ease, settings.above))
        visited = sum(problem_id in logged for problem_id in problems)
        stage.say(f"{len(kept)} of {len(problems)} problems kept, {visited} were visited")
        stage.publish(metrics={"kept": len(kept), "dropped": len(problems) - len(kept), "visited": visited})


if __name__ == "__main__":
    run_verb(main)
