r"""Verb: do right trajectories share more intermediate results than wrong ones (V2 blog, the probing study)? Also by
hand:

    python -m small_rl.studies.probe --rollouts rollouts.jsonl --out probe.json [--plot probe.html]

Columns of the file (.parquet, .jsonl or .json): `problem_id`, `sample_id`, `response` (whole text with its
\underline{} spans), `gold` (accepted answer or list of them) and, in every row or in none, `correct`; without it the
responses are graded here. Out comes probe.json: the similarity of the three classes of pairs, with and without results
that state the final answer.
"""

import argparse
import collections
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polaris.charts import charts
from polaris.charts.charts import Row
from polaris.charts.figure_page import figure_page
from polaris.evaluation.settings import Resampling
from polaris.grading.answers import find_answer, golds_from
from polaris.grading.grade import grade_responses, summary
from polaris.grading.grading_pool import GradingPool
from polaris.problems.fetch_problems import file_rows
from polaris.stage.errors import UserError
from polaris.stage.manifest import replace_file
from polaris.stage.records import RESPONSES, read_problems, read_rows
from polaris.stage.settings import read_section
from polaris.stage.stage import Stage, run_verb
from small_rl.reward.intermediate import intermediate
from small_rl.reward.results import parse_results
from small_rl.studies import judge
from small_rl.studies.similarity import CLASSES, PairSums, class_rows, jaccard_sums, pair_classes
from small_rl.study_settings import Judge, ProbeChoice

COLUMNS = ("problem_id", "sample_id", "response", "gold")


def problem_groups(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per problem `correct` [G], `results` [G] and `inner` [G]: its results without those that state the final answer.

    rows: `problem_id`, `response`, `gold` (list) and `correct`. The final answer is the response's own, and the gold.
    """
    groups: dict[str, dict[str, Any]] = {}
    for row in rows:
        group = groups.setdefault(row["problem_id"], {"correct": [], "results": [], "inner": []})
        results = frozenset(parse_results(row["response"]))
        answers = [find_answer(row["response"], "none")[0] or "", *row["gold"]]
        inner = frozenset(intermediate(results, answers))
        for name, value in (("correct", row["correct"]), ("results", results), ("inner", inner)):
            group[name].append(value)
    return list(groups.values())


def judged(
    groups: list[dict[str, Any]], settings: Judge, report: Resampling, rng: np.random.Generator
) -> dict[str, Any]:
    """`judge` of probe.json: the rows of `class_rows` for the scores (1 to 10), and what became of the questions.

    Asked are at most settings.pairs pairs of a problem and class, drawn at random, with the final answer left out.
    """
    asked: list[tuple[int, int, judge.Lists]] = []
    empty_PC = np.zeros((len(groups), len(CLASSES)), dtype=int)
    for number, group in enumerate(groups):
        i, j, kind = pair_classes(group["correct"])
        lists = [sorted(results) for results in group["inner"]]
        for c in range(len(CLASSES)):
            pairs = np.flatnonzero(kind == c)
            for index in rng.permutation(pairs)[: settings.pairs]:
                a, b = lists[i[index]], lists[j[index]]
                if a and b:
                    asked.append((number, c, (a, b)))
                else:
                    empty_PC[number, c] += 1
    scores = judge.scores([pair for _, _, pair in asked], settings)
    sum_PC, pairs_PC = np.zeros(empty_PC.shape), np.zeros(empty_PC.shape, dtype=int)
    for (number, c, _), score in zip(asked, scores, strict=True):
        if score.value is not None:
            sum_PC[number, c] += score.value
            pairs_PC[number, c] += 1
    if not pairs_PC.any():
        raise UserError(f"judge: none of {len(asked)} replies was a score from 1 to 10 ({_reasons(scores)})")
    sums = [PairSums(*parts) for parts in zip(sum_PC, pairs_PC, empty_PC, strict=True)]
    rows = class_rows(sums, report.confidence, report.resamples, rng)
    return rows | {"asked": len(asked), "scored": int(pairs_PC.sum()), "without_score": _reasons(scores)}


def _reasons(scores: Sequence[judge.Score]) -> dict[str, int]:
    return dict(collections.Counter(score.problem for score in scores if score.problem))


def probe(rows: Sequence[dict[str, Any]], report: Resampling, asks: Judge | None) -> dict[str, Any]:
    """Everything that probe.json holds. Raises UserError where no problem has two trajectories."""
    groups = problem_groups(rows)
    if all(len(group["correct"]) < 2 for group in groups):
        raise UserError(f"{len(groups)} problems with one response each have no pair; give two of a problem at least")
    found: dict[str, Any] = {
        "problems": len(groups),
        "rollouts": len(rows),
        "accuracy": sum(row["correct"] for row in rows) / len(rows),
        "rollouts_without_steps": sum(not results for group in groups for results in group["results"]),
        "answer_steps": sum(
            len(results - inner)
            for group in groups
            for results, inner in zip(group["results"], group["inner"], strict=True)
        ),
        "confidence": report.confidence,
    }
    rng = np.random.default_rng(report.seed)
    for name, key in (("with_answer", "results"), ("without_answer", "inner")):
        sums = [jaccard_sums(group[key], group["correct"]) for group in groups]
        found[name] = class_rows(sums, report.confidence, report.resamples, rng)
    return found | {"judge": judged(groups, asks, report, rng) if asks else None}


# --- the page -----------------------------------------------------------------------------------------------------
NAMES = {"with_answer": "All results", "without_answer": "Without the final answer", "judge": "Judge's score"}
WORD = "{:.3g}".format


def page(found: dict[str, Any]) -> str:
    """The numbers of probe.json as pictures and one table."""
    figures, table = [], [["measure", "class", "problem mean", "pooled", "problems", "pairs", "of them empty"]]
    text = "A dot is the mean over problems of the problem's mean over its pairs; the line its "
    text += f"{100 * found['confidence']:g} % interval over problems."
    for key, name in NAMES.items():
        if not found[key]:
            continue
        rows = found[key]["classes"]
        drawn = [
            Row(row["class"], row["mean"], _amount(row, "mean"), *(row["mean_interval"] or (None, None)), tone=tone)
            for tone, row in enumerate(rows)
            if row["mean"] is not None
        ]
        if drawn:
            figures.append((name, charts.interval_chart(drawn, name, WORD, zero=True), text))
        for row in rows:
            counts = [f"{row[part]:,}" for part in ("problems", "pairs", "empty_pairs")]
            table.append([name, row["class"], _amount(row, "mean"), _amount(row, "pooled"), *counts])
        for row in found[key]["differences"]:
            difference = [f"{row['a']} − {row['b']}", _amount(row, "difference"), "", f"{row['problems']:,}", "", ""]
            table.append([name, *difference])
    lead = [
        (
            f"{found['problems']:,} problems, {found['rollouts']:,} trajectories, {100 * found['accuracy']:.1f} % "
            f"right, {found['rollouts_without_steps']:,} without an underlined result; {found['answer_steps']:,} "
            "underlined results state a final answer."
        )
    ]
    notes = [
        (
            "Similarity is the Jaccard overlap of two sets of underlined results, 0 to 1. A pair of two empty sets "
            "counts as 0 in the overlap; the last column says how many there were. The judge is not asked about a "
            "pair with an empty set."
        ),
        (
            "The classes are not of the same problems: hard ones have few right pairs, easy ones few wrong pairs. A "
            "difference (−) is over the problems that have both classes, and is the number to read."
        ),
        "Similar results are no proof of similar reasoning, and none of its correctness.",
    ]
    return figure_page("Probe: similarity of right and wrong trajectories", lead, figures, table, notes)


def _amount(row: dict[str, Any], key: str) -> str:
    if row[key] is None:
        return "–"
    interval = row[f"{key}_interval"]
    return f"{row[key]:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


# --- the stage and by hand ----------------------------------------------------------------------------------------
def probe_stage() -> None:
    """The stage of the graph: probe.json and index.html."""
    with Stage.from_command_line("small_rl.studies.probe", ProbeChoice, inputs=("problems", "responses")) as stage:
        problems = read_problems(stage.inputs["problems"].file("problems.parquet"))
        responses = read_rows(stage.inputs["responses"].file("responses.parquet"), RESPONSES)
        graded = grade_responses(responses, problems, stage.settings.grading)
        rows = [
            response | {"correct": verdict["correct"], "gold": golds_from(problems[response["problem_id"]]["answers"])}
            for response, verdict in zip(responses, graded, strict=True)
        ]
        found = probe(rows, stage.settings, stage.settings.judge) | {"grading": summary(graded)}
        (stage.partial / "probe.json").write_text(json.dumps(found, indent=1) + "\n")
        (stage.partial / "index.html").write_text(page(found))
        stage.say(told(found))
        means = {row["class"]: row["mean"] for row in found["without_answer"]["classes"]}
        stage.publish(metrics={"problems": found["problems"], "rollouts": found["rollouts"], "without_answer": means})


def told(found: dict[str, Any]) -> str:
    """One line for people."""
    words = [f"{row['class']} {_amount(row, 'mean')}" for row in found["without_answer"]["classes"]]
    return f"similarity without the final answer: {', '.join(words)}"


def read_rollouts(path: Path) -> list[dict[str, Any]]:
    """Rows of a rollouts file, checked; `gold` as list. Raises UserError naming file, row and column."""
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, Any]] = set()
    for number, row in enumerate(file_rows(path), 1):
        where = f"{path}: row {number}"
        if missing := [name for name in COLUMNS if row.get(name) is None and name != "gold" or name not in row]:
            raise UserError(f"{where}: `{missing[0]}` is missing (needed: {', '.join(COLUMNS)}; optional: correct)")
        if not isinstance(row["response"], str) or not isinstance(row.get("correct", True), bool):
            raise UserError(f"{where}: `response` must be a text, and `correct`, where it is given, true or false")
        if rows and ("correct" in row) != ("correct" in rows[0]):
            raise UserError(f"{where}: `correct` must be in every row or in none")
        entry = row | {"problem_id": str(row["problem_id"]), "gold": golds_from(row["gold"])}
        if "correct" not in row and not entry["gold"]:
            raise UserError(f"{where}: it has neither `correct` nor a gold answer to grade it by")
        if (key := (entry["problem_id"], row["sample_id"])) in seen:
            raise UserError(f"{where}: sample {key[1]} of problem {key[0]} is there twice")
        seen.add(key)
        rows.append(entry)
    if not rows:
        raise UserError(f"{path}: there is no rollout in it")
    return rows


def probe_file() -> None:
    """Probe a file of rollouts; the columns are those of the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m small_rl.studies.probe", description=__doc__.splitlines()[0])
    parser.add_argument("--rollouts", required=True, type=Path, help="a parquet, jsonl or json file")
    parser.add_argument("--out", required=True, type=Path, help="the json file to write")
    parser.add_argument("--plot", type=Path, help="the html page to write")
    parser.add_argument("--format", choices=("think", "none"), default="none", help="think: demand a </think>")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for grading one answer")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1) - 1), help="grading processes")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--resamples", type=int, default=2000, help="bootstrap draws of problems")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--judge", help="a judge's section (docs/probe.md): YAML or JSON file, or JSON itself")
    args = parser.parse_args()
    report = json.dumps({name: getattr(args, name) for name in Resampling.model_fields})
    report, asks = read_section(Resampling, report), read_section(Judge, args.judge) if args.judge else None
    rows = read_rollouts(args.rollouts)
    reasons = None
    if "correct" not in rows[0]:
        with GradingPool(args.timeout, args.workers) as pool:
            verdicts = pool.grade([(row["gold"], row["response"]) for row in rows], args.format)
        rows = [row | {"correct": verdict.correct} for row, verdict in zip(rows, verdicts, strict=True)]
        reasons = dict(collections.Counter(verdict.reason for verdict in verdicts).most_common())
    found = probe(rows, report, asks) | {"grading": reasons}
    replace_file(args.out, json.dumps(found, indent=1) + "\n")
    if args.plot:
        replace_file(args.plot, page(found))
    print(told(found), file=sys.stderr)


def main() -> None:
    by_hand = any(word.split("=")[0] == "--rollouts" for word in sys.argv[1:])
    probe_file() if by_hand else probe_stage()


if __name__ == "__main__":
    run_verb(main)
