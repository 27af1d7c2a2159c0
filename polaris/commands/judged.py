"""`polaris judge MODEL`: a model's second opinion on answers that the rules judged, in a file of its own.

For sets whose answers rules cannot always decide (IMO-AnswerBench). Only the accepted answers and the answer are sent.
Nothing else reads the file: no score and no report has anything of it.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from polaris.commands.runs import Place
from polaris.evaluation import lineage
from polaris.evaluation.compare import scores_of
from polaris.evaluation.results import percent
from polaris.grading.answers import EXACT
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.manifest import replace_file
from polaris.stage.records import GRADED, read_problems, read_rows
from polaris.stage.terminal import say, table
from small_rl.studies.judge import equal
from small_rl.study_settings import Judge

Row = dict[str, Any]
WORDS = {1: "yes", 0: "no"}


def main(model: str, place: Place, benchmarks: Sequence[str], judge: Judge, output: Path) -> None:
    """Ask about every answer that is not the very text of an accepted one, each different one once.

    Of one problem at most `judge.pairs` different answers. Raises UserError where scores or problems are gone, and
    where the judge refuses.
    """
    model = str(Path(model).absolute()) if Path(model).exists() else model
    output = output.absolute()
    with contextlib.chdir(place.root):  # manifests name their inputs from there
        scores = manifest.read(scores_of(model, place.folder.name))
        problems = {one.stage: one for one in map(manifest.read, lineage.input_paths(scores, ["problems"]))}
        if odd := next((name for name in benchmarks if name not in problems), None):
            raise UserError(f"--benchmark {odd}: it is none of {', '.join(problems)}")
        golds = {name: read_problems(one.file("problems.parquet")) for name, one in problems.items()}
        rows = read_rows(scores.file("graded.parquet"), GRADED)
    chosen = [row for row in rows if row["set"] in (benchmarks or golds)]
    asked = questions(chosen, judge.pairs)
    replies = equal([(golds[name][problem]["answers"], answer) for name, problem, answer in asked], judge)
    said = {
        key: WORDS[one.value] if one.value is not None else one.problem for key, one in zip(asked, replies, strict=True)
    }
    opinions = [row | {"judge": said.get(_key(row))} for row in chosen]
    about = {"model": judge.model, "address": judge.address}
    record = {"judge": about, "scores": scores.content, "by_benchmark": counted(opinions), "opinions": opinions}
    replace_file(output, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    say("\n".join(lines(record["by_benchmark"])))
    say(f"{output}: {len(said)} different answers were asked about; no score has changed")


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["set"], row["problem_id"], row["answer"]


def questions(rows: Iterable[Mapping[str, Any]], most: int) -> list[tuple[str, str, str]]:
    """(set, problem, answer) of the answers to ask about. most: of one problem"""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if row["answer"] is not None and row["reason"] != EXACT:
            found.setdefault((row["set"], row["problem_id"]), {})[row["answer"]] = None
    return [(*problem, answer) for problem, answers in found.items() for answer in list(answers)[:most]]


def counted(opinions: Sequence[Row]) -> dict[str, Row]:
    """Benchmark -> responses, right by the rules, right where a decided opinion of the judge stands in their place, and
    how often the two differ; without_opinion: asked, and no reply could be read, or too many answers to one problem.
    """
    found: dict[str, Row] = {}
    for name in dict.fromkeys(row["set"] for row in opinions):
        mine = [row for row in opinions if row["set"] == name]
        decided = [row for row in mine if row["judge"] in WORDS.values()]
        open_ones = [row for row in mine if row["answer"] is not None and row["reason"] != EXACT]
        gained = sum(row["judge"] == "yes" and not row["correct"] for row in decided)
        lost = sum(row["judge"] == "no" and row["correct"] for row in decided)
        right = sum(row["correct"] for row in mine)
        found[name] = {
            "responses": len(mine),
            "right_by_rules": right,
            "right_by_judge": right + gained - lost,
            "only_judge_right": gained,
            "only_rules_right": lost,
            "without_opinion": len(open_ones) - len(decided),
        }
    return found


def lines(by_benchmark: Mapping[str, Row]) -> list[str]:
    """The counts as a table."""
    head = ["benchmark", "responses", "% by rules", "% by judge", "only judge right", "only rules right", "no opinion"]
    rows = [
        [name, str(one["responses"])]
        + [percent(one[key] / one["responses"]) for key in ("right_by_rules", "right_by_judge")]
        + [str(one[key]) for key in ("only_judge_right", "only_rules_right", "without_opinion")]
        for name, one in by_benchmark.items()
    ]
    return table([head, *rows])
