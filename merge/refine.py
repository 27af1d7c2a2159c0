"""Look closer around the best alpha: read the scores of a sweep on the selection split, write an overlay of the recipe.

    python -m merge.refine --results runs/x/report/results.json --out finer.yaml
    snakemake --configfile configs/x.yaml finer.yaml          runs the new alphas, and nothing that was run before

    ... --drop 0.05     without the alphas that cannot win any more, the best among them with this probability at most
    ... --soup          the same for merge.soup: new points half as far from the best as its nearest neighbour

The split is the recipe's merge.select_on. The report leaves it out of its means: the best of several scores is biased
upwards on the problems that chose it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from merge.alpha import Shares, spelled, spelled_shares
from merge.grid import finer_alphas, finer_shares
from polaris.evaluation import sequential
from polaris.evaluation.scores import read_verdicts
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.json_files import read_object
from polaris.stage.manifest import digest_of, replace_file
from polaris.stage.stage import run_verb
from polaris.stage.terminal import say

Point = float | Shares  # an alpha, or the shares of base and several distilled models


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m merge.refine")
    parser.add_argument("--results", required=True, type=Path, help="results.json of the report")
    parser.add_argument("--parts", type=int, default=4, help="into how many the gaps beside the best alpha are cut")
    parser.add_argument("--drop", type=float, metavar="ERROR", help="leave out alphas that cannot win, with this error")
    parser.add_argument("--soup", action="store_true", help="of merge.soup instead of merge.alphas")
    parser.add_argument("--out", required=True, type=Path, help="the overlay")
    args = parser.parse_args()
    if args.parts < 2:
        raise UserError(f"--parts {args.parts}: a gap is cut into two or more")
    rows, select_on = read_results(args.results, args.soup)
    scores = mean_scores(rows, select_on, args.results)
    best: Any = max(scores, key=lambda point: scores[point])
    known: list[Any] = list(scores)
    new = finer_shares(known, best) if args.soup else finer_alphas(known, best, args.parts)
    for point, (winner, questions) in hopeless(args.results, rows, select_on, args.drop).items() if args.drop else ():
        if point != best:
            del scores[point]
            _say(f"{written(point)} is left out: {written(winner)} beats it after {questions} questions")
    replace_file(args.out, overlay(args.results, select_on, scores, best, new))
    _say(f"best on {', '.join(select_on)}: {written(best)} with {scores[best]:.4f}")
    what = "points" if args.soup else "alphas"
    _say(f"{args.out}: {len(new)} more {what}: {' '.join(map(written, new)) or 'none'}")


def written(point: Point) -> str:
    """As in paths."""
    return spelled_shares(point) if isinstance(point, tuple) else spelled(point)


def point_of(row: dict[str, Any]) -> Point:
    """Of a row of `alphas` or `soups`."""
    return tuple(row["shares"]) if "shares" in row else row["alpha"]


def read_results(path: Path, soup: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the alpha curve, or of the soup, and the benchmarks on which one is selected. Raises UserError."""
    if not path.exists():
        raise UserError(f"{path}: there is no such file; the report writes it (snakemake)")
    results = read_object(path)
    try:
        rows, select_on = results["soups" if soup else "alphas"], results["choice"]["select_on"]
    except (KeyError, TypeError):
        raise UserError(
            f"{path}: this is not the results.json of a report, with `alphas` and `choice`; give --results that file"
        ) from None
    if not rows:
        raise UserError(f"{path}: none was evaluated; merge.{'soup' if soup else 'alphas'} of the recipe lists them")
    if not select_on:
        raise UserError(
            f"{path}: merge.select_on of the recipe is empty; name benchmarks there to select alpha on, which are "
            "then no longer among the reported ones: the best of several scores is too good on the problems that "
            "chose it"
        )
    return rows, select_on


def mean_scores(rows: list[dict[str, Any]], benchmarks: list[str], path: Path) -> dict[Point, float]:
    """Point -> unweighted mean of its scores on the benchmarks. Raises UserError for a benchmark without scores."""
    by_point: dict[Point, dict[str, float]] = {}
    for row in rows:
        by_point.setdefault(point_of(row), {})[row["benchmark"]] = row["avg"]
    for point, scores in by_point.items():
        if missing := [name for name in benchmarks if name not in scores]:
            known = ", ".join(name for name in scores if name != "average")
            raise UserError(f"{path}: alpha {written(point)} has no score on {missing[0]} (it has {known})")
    return {point: sum(scores[name] for name in benchmarks) / len(benchmarks) for point, scores in by_point.items()}


def hopeless(
    results: Path, rows: list[dict[str, Any]], benchmarks: list[str], error: float
) -> dict[Point, tuple[Point, int]]:
    """Points that cannot be the best any more: what beats each, and after how many questions of the selection split.

    The best one is among them with a probability of at most `error`, however often one looks (sequential.dropped). The
    questions come in an order drawn by their ids. Raises UserError without the run's scores beside the report.
    """
    if not 0 < error < 1:
        raise UserError(f"--drop {error:g}: a probability of dropping the best alpha, such as 0.05")
    scores: dict[str, Any] = {}
    points = {written(point_of(row)): point_of(row) for row in rows}
    for point, model in {point_of(row): row["model"] for row in rows}.items():
        tables = read_verdicts(manifest.read(results.parents[1] / "scores" / model / "data.json"))
        per_question = {
            (name, problem): value
            for name in benchmarks
            for problem, value in zip(tables[name].problems, tables[name].correct_PG.mean(axis=1), strict=True)
        }
        order = sorted(per_question, key=lambda question: digest_of(question))
        scores[written(point)] = np.array([per_question[question] for question in order])
    found = sequential.dropped(scores, error)
    return {points[loser]: (points[winner], questions) for loser, (winner, questions) in found.items()}


def overlay(results: Path, benchmarks: list[str], scores: dict[Any, float], best: Point, new: Sequence[Point]) -> str:
    """The recipe's overlay: all points, old and new, and the best so far, with where it comes from."""
    known, several = sorted([*scores, *new]), isinstance(best, tuple)
    what = "shares" if several else "alpha"
    lines = [f"# From {results}, selected on {', '.join(benchmarks)}:"]
    lines += [f"#   {what} {written(point)}: {scores[point]:.4f}" for point in sorted(scores)]
    merge: dict[str, Any] = {"alphas": known, "selected": best}
    if several:
        merge = {"soup": {"step": None, "points": [list(one) for one in known], "selected": list(best)}}
    return "\n".join(lines) + "\n" + yaml.safe_dump({"merge": merge}, default_flow_style=None, sort_keys=False)


def _say(text: str) -> None:
    say(text, sys.stderr)


if __name__ == "__main__":
    run_verb(main)
