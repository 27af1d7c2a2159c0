"""Verb: a training set without unsuitable problems, duplicates and benchmark problems; every drop has its reason.

V2 blog, data: problems "unsuitable for automatic evaluation" are dropped. `problems.parquet` are those that stay,
`dropped.parquet` the others with their reasons, `card.html` the same for people. docs/data.md explains all of it.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from polaris.grading.answers import CORRECT, FAILURES, UNPARSEABLE_GOLD
from polaris.grading.grading_pool import GradingPool
from polaris.grading.settings import Grading
from polaris.problems.cleaning_card import cleaning_card
from polaris.problems.contamination import Held, HeldOut, leaks
from polaris.problems.duplicates import near_duplicates, other_answers, same_text
from polaris.problems.problem_text import tokens
from polaris.problems.settings import Clean
from polaris.problems.suitability import unsuitable
from polaris.stage.errors import UserError
from polaris.stage.records import PROBLEMS, read_problems, write_rows
from polaris.stage.stage import Stage, run_verb

DUPLICATE, NEAR_DUPLICATE, CONTAMINATED = "duplicate", "near_duplicate", "contaminated"
EVIDENCE = 400  # characters that are kept of it
PROBE = "0"  # an answer that has the grader read a gold answer; that 0 may be the right one does no harm

# One row per dropped problem. `evidence`: what shows the reason; `other`: the problem that was there before, or the
# benchmark's problem as <benchmark>/<id>.
DROPPED = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
        pa.field("other", pa.string()),
    ]
)
Problem = dict[str, Any]  # a row of records.PROBLEMS


@dataclasses.dataclass(frozen=True)
class Dropped:
    """A row of DROPPED, without its id."""

    reason: str
    evidence: str
    other: str | None = None


def unreadable_golds(problems: Sequence[Problem], grading: Grading) -> dict[int, Dropped]:
    """Problems whose gold answers the grader cannot read, or does not take for what they are, by number.

    Raises UserError when the grader fails on more than `grading.max_failure_rate` of them: then it is not the answers'
    fault.
    """
    numbers = [number for number, row in enumerate(problems) if row["answers"]]
    golds = [problems[number]["answers"] for number in numbers]
    with GradingPool(grading.timeout, grading.workers, grading.grader) as pool:
        read = pool.grade_answers([(answers, PROBE) for answers in golds])
        itself = pool.grade_answers([(answers, answers[0]) for answers in golds])
    failed = sum(verdict.reason in FAILURES for verdict in read)
    if failed > grading.max_failure_rate * len(numbers):
        raise UserError(
            f"grading failed on the gold answers of {failed} of {len(numbers)} problems, more than "
            f"grading.max_failure_rate {grading.max_failure_rate}: raise clean.<set>.grading.timeout"
        )
    bad = {UNPARSEABLE_GOLD, *FAILURES}
    return {
        number: Dropped(UNPARSEABLE_GOLD, f"{answers[0]} ({verdict.reason})")
        for number, answers, verdict, same in zip(numbers, golds, read, itself, strict=True)
        if verdict.reason in bad or same.reason not in CORRECT
    }


def duplicates(problems: Sequence[Problem], settings: Clean) -> dict[int, Dropped]:
    """Problems that repeat an earlier one, by number: the same text, then nearly the same."""
    tokens_P = [tokens(row["problem"]) for row in problems]
    same = same_text(tokens_P)
    dropped = {}
    for number, duplicate in same.items():
        earlier = problems[duplicate.earlier]
        mine, theirs = problems[number]["answers"], earlier["answers"]
        evidence = "the same text"
        if other_answers(mine, theirs):
            evidence += f", but the answer {mine[0]} here and {theirs[0]} there"
        dropped[number] = Dropped(DUPLICATE, evidence, earlier["id"])
    rest = [number for number in range(len(problems)) if number not in same]
    near = near_duplicates(
        [tokens_P[number] for number in rest],
        [problems[number]["answers"] for number in rest],
        settings.duplicate_ngram,
        settings.duplicate_share,
    )
    for place, duplicate in near.items():
        evidence = f"{duplicate.share:.0%} of the runs of {settings.duplicate_ngram} words are in both"
        dropped[rest[place]] = Dropped(NEAR_DUPLICATE, evidence, problems[rest[duplicate.earlier]]["id"])
    return dropped


def contaminated(problems: Sequence[Problem], held_out: HeldOut, settings: Clean) -> dict[int, Dropped]:
    """Problems that hold text of a benchmark's problem, by number."""
    leak_of = leaks([row["problem"] for row in problems], held_out, settings.leak_template)
    return {
        number: Dropped(CONTAMINATED, leak.span, f"{leak.held.benchmark}/{leak.held.id}")
        for number, leak in leak_of.items()
    }


def to_drop(problems: Sequence[Problem], held_out: HeldOut, settings: Clean) -> dict[str, Dropped]:
    """Problems that do not stay, by id. A problem has one reason: what it is itself, then what else there is."""
    rules, dropped = settings.unsuitable, {}
    for row in problems:
        if reason := unsuitable(row["problem"], row["answers"], rules, settings.max_characters):
            dropped[row["id"]] = Dropped(*reason)
    steps = [lambda rows: unreadable_golds(rows, settings.grading)] if UNPARSEABLE_GOLD in rules else []
    steps += [lambda rows: duplicates(rows, settings), lambda rows: contaminated(rows, held_out, settings)]
    for step in steps:
        left = [row for row in problems if row["id"] not in dropped]
        dropped |= {left[number]["id"]: drop for number, drop in step(left).items()}
    return dropped


def main() -> None:
    flags = {"inputs": ("problems",), "repeated": ("benchmarks",)}
    with Stage.from_command_line("polaris.problems.clean_problems", Clean, **flags) as stage:
        source = stage.inputs["problems"]
        problems = list(read_problems(source.file("problems.parquet")).values())
        benchmarks = {
            given.stage: read_problems(given.file("problems.parquet")) for given in stage.inputs["benchmarks"]
        }
        held = [Held(name, row["id"], row["problem"]) for name, rows in benchmarks.items() for row in rows.values()]
        dropped = to_drop(problems, HeldOut(held, stage.settings.leak_ngram), stage.settings)
        counts = dict(collections.Counter(drop.reason for drop in dropped.values()).most_common())
        kept = [row for row in problems if row["id"] not in dropped]
        if not kept:
            raise UserError(f"{stage.name}: no problem of {len(problems)} is left; dropped: {counts}")
        table = [
            {"id": problem_id, **dataclasses.asdict(drop), "evidence": drop.evidence[:EVIDENCE]}
            for problem_id, drop in dropped.items()
        ]
        write_rows(stage.partial / "problems.parquet", kept, PROBLEMS)
        write_rows(stage.partial / "dropped.parquet", table, DROPPED)
        page = cleaning_card(stage.name, source.settings, problems, table, benchmarks)
        (stage.partial / "card.html").write_text(page)
        stage.say(f"{len(kept)} of {len(problems)} problems kept; dropped: {counts or 'none'}")
        stage.publish(metrics={"problems": len(problems), "kept": len(kept), "dropped": counts})


if __name__ == "__main__":
    run_verb(main)
