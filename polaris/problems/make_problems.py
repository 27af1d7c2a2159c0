"""Verb: a set of made-up problems with answers and worked solutions, in the place of a downloaded one."""

import random
from typing import Any

from polaris.problems.english.questions import QUESTIONS
from polaris.problems.settings import MadeProblems
from polaris.problems.tiny_problems import answer, digest, draw, solve
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS, write_rows
from polaris.stage.stage import Stage, run_verb

PATIENCE = 1000  # draws in a row that bring nothing new before the set counts as exhausted


def rows(settings: MadeProblems) -> list[dict[str, Any]]:
    """The set's problems, no two with the same text. Raises UserError when there are not so many."""
    rng = random.Random(settings.seed)
    if settings.family == "questions":
        return [_question(text) for text in rng.sample(list(QUESTIONS), settings.count)]
    by_text: dict[str, dict[str, Any]] = {}
    idle = 0
    while len(by_text) < settings.count:
        problem = draw(settings.family, settings.depth, settings.pool, rng)
        idle = idle + 1 if problem.text in by_text else 0
        if idle > PATIENCE:
            raise UserError(
                f"count: only about {len(by_text)} different {settings.family} problems of depth "
                f"{settings.depth[0]} to {settings.depth[1]} exist in the pool {settings.pool}, not {settings.count}; "
                "ask for fewer or for deeper ones"
            )
        if not idle:
            by_text[problem.text] = {
                "id": f"{settings.family}-{digest(problem.text)}",
                "problem": problem.text,
                "answers": [answer(problem)],
                "source": settings.family,
                "solution": solve(problem, rng, settings.error_rate, underlined=True),
            }
    return list(by_text.values())


def _question(text: str) -> dict[str, Any]:
    return {
        "id": f"questions-{digest(text)}",
        "problem": text,
        "answers": QUESTIONS[text].split("|"),
        "source": "questions",
        "solution": None,
    }


def main() -> None:
    with Stage.from_command_line("polaris.problems.make_problems", MadeProblems) as stage:
        write_rows(stage.partial / "problems.parquet", rows(stage.settings), PROBLEMS)
        stage.publish(metrics={"problems": stage.settings.count})


if __name__ == "__main__":
    run_verb(main)
