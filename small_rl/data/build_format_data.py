"""Verb: worked answers that teach the format, as chat messages.

V2 blog, "Format SFT": a teacher's answers under the underline instruction. Without `--responses` the problems' own
worked solutions are the answers (laptop).
"""

import collections
import statistics
from typing import Any

from polaris.grading.answers import END_OF_THOUGHT, NO_THINK, TRUNCATED
from polaris.grading.grade import grade_responses
from polaris.models.prompts import messages
from polaris.problems.solutions import from_solutions
from polaris.stage.errors import UserError
from polaris.stage.records import MESSAGES, RESPONSES, read_problems, read_rows, write_rows
from polaris.stage.stage import Stage, run_verb
from small_rl.data.data_cards import format_card
from small_rl.format_settings import FormatData
from small_rl.reward.results import parse_results

THINK = "<think>\n"
NO_SOLUTION, NO_UNDERLINE = "no_solution", "no_underline"


def opened(response: str) -> str:
    """The response with its `<think>`, which a thinking model's prompt contains already."""
    return response if response.startswith("<think>") else THINK + response


def dropped_because(response: dict[str, Any], graded: dict[str, Any], settings: FormatData) -> str | None:
    """The reason to drop an answer, or None.

    response: row of records.RESPONSES; graded: its row of records.GRADED
    """
    if response["finish_reason"] == "length":
        return TRUNCATED
    if END_OF_THOUGHT not in response["response"]:
        return NO_THINK
    if settings.keep == "correct" and not graded["correct"]:
        return graded["reason"]
    return NO_UNDERLINE if settings.underlined_only and not parse_results(response["response"]) else None


def main() -> None:
    with Stage.from_command_line(
        "small_rl.data.build_format_data", FormatData, inputs=("problems",), optional=("responses",)
    ) as stage:
        settings = stage.settings
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        teacher = stage.inputs.get("responses")
        responses = read_rows(teacher.file("responses.parquet"), RESPONSES) if teacher else from_solutions(problems)
        graded = grade_responses(responses, problems, settings.grading)
        dropped = collections.Counter({} if teacher else {NO_SOLUTION: len(problems) - len(responses)})
        rows, result_counts = [], []
        for response, grade in zip(responses, graded, strict=True):
            if reason := dropped_because(response, grade, settings):
                dropped[reason] += 1
                continue
            problem_id, text = response["problem_id"], opened(response["response"])
            question = messages(problems[problem_id]["problem"], settings.instruction)
            answer = {"role": "assistant", "content": text}
            rows.append({"problem_id": problem_id, "messages": [*question, answer]})
            result_counts.append(len(parse_results(text)))
        counts = {reason: n for reason, n in dropped.most_common() if n}
        if not rows:
            raise UserError(f"{stage.name}: no worked answer is left; dropped: {counts}")
        write_rows(stage.partial / "messages.parquet", rows, MESSAGES)
        (stage.partial / "card.html").write_text(format_card(stage.name, rows, result_counts, counts))
        mean = statistics.fmean(result_counts)
        stage.say(f"{len(rows)} worked answers with {mean:.1f} results each; dropped: {counts or 'none'}")
        stage.publish(metrics={"examples": len(rows), "dropped": counts, "mean_steps": mean})


if __name__ == "__main__":
    run_verb(main)
