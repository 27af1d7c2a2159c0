"""Verb: do right trajectories share more intermediate results than wrong ones (V2 blog, the probing study)?

For a file of rollouts without a run: small_rl/studies/probe_file.py.
"""

import json

from polaris.grading.answers import golds_from
from polaris.grading.grade import grade_responses, summary
from polaris.stage.records import RESPONSES, read_problems, read_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.studies import probe_page
from small_rl.studies.probe_measures import measure
from small_rl.study_settings import ProbeChoice


def main() -> None:
    """The stage of the graph: probe.json and index.html."""
    with Stage.from_command_line("small_rl.studies.probe", ProbeChoice, inputs=("problems", "responses")) as stage:
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        responses = read_rows(stage.inputs["responses"].file("responses.parquet"), RESPONSES)
        graded = grade_responses(responses, problems, stage.settings.grading)
        rows = [
            response | {"correct": verdict["correct"], "gold": golds_from(problems[response["problem_id"]]["answers"])}
            for response, verdict in zip(responses, graded, strict=True)
        ]
        numbers = measure(rows, stage.settings, stage.settings.judge) | {"grading": summary(graded)}
        (stage.partial / "probe.json").write_text(json.dumps(numbers, indent=1) + "\n")
        (stage.partial / "index.html").write_text(probe_page.page(numbers))
        stage.say(probe_page.summary(numbers))
        means = {row["class"]: row["mean"] for row in numbers["without_answer"]["classes"]}
        stage.publish(
            metrics={"problems": numbers["problems"], "rollouts": numbers["rollouts"], "without_answer": means}
        )


if __name__ == "__main__":
    run_verb(main)
