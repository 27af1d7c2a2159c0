"""Look closer around the best alpha: read the scores of a sweep on a selection split, write an overlay of the recipe.

    python -m merge.refine --results runs/x/report/results.json --select-on beyondaime --out finer.yaml
    snakemake --configfile configs/x.yaml finer.yaml          runs the new alphas, and nothing that was run before

The split must not be what is reported afterwards: the best of several scores is too good on the problems that chose it.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from merge.alpha import spelled
from merge.grid import further
from polaris.errors import UserError
from polaris.manifest import replace_file
from polaris.stage import run_verb


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m merge.refine")
    parser.add_argument("--results", required=True, type=Path, help="results.json of the report")
    parser.add_argument("--select-on", required=True, nargs="+", metavar="BENCHMARK", help="the selection split")
    parser.add_argument("--parts", type=int, default=4, help="into how many the gaps beside the best alpha are cut")
    parser.add_argument("--out", required=True, type=Path, help="the overlay")
    args = parser.parse_args()
    if args.parts < 2:
        raise UserError(f"--parts {args.parts}: a gap is cut into two or more")
    rows = read_rows(args.results)
    scores = mean_scores(rows, args.select_on, args.results)
    best = max(scores, key=lambda alpha: scores[alpha])
    new = further(list(scores), best, args.parts)
    replace_file(args.out, overlay(args.results, args.select_on, scores, best, new))
    reported = sorted({row["benchmark"] for row in rows} - {"average", *args.select_on})
    if not reported:
        _say(
            "warning: this chooses on every benchmark that is reported, and the best of several scores is too good there"
        )
    _say(f"best on {', '.join(args.select_on)}: {spelled(best)} with {scores[best]:.4f}")
    _say(f"{args.out}: {len(new)} more alphas: {' '.join(map(spelled, new)) or 'none'}")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the alpha curve. Raises UserError."""
    try:
        rows = json.loads(path.read_text())["alphas"]
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; the report writes it (snakemake)") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: this is no results.json of a report: it has no alphas") from None
    if not rows:
        raise UserError(f"{path}: no alpha was evaluated; merge.alphas of the recipe lists them")
    return rows


def mean_scores(rows: list[dict[str, Any]], benchmarks: list[str], path: Path) -> dict[float, float]:
    """alpha -> unweighted mean of its scores on the benchmarks. Raises UserError for a benchmark without scores."""
    by_alpha: dict[float, dict[str, float]] = {}
    for row in rows:
        by_alpha.setdefault(row["alpha"], {})[row["benchmark"]] = row["avg"]
    for alpha, scores in by_alpha.items():
        if missing := [name for name in benchmarks if name not in scores]:
            known = ", ".join(name for name in scores if name != "average")
            raise UserError(f"{path}: alpha {spelled(alpha)} has no score on {missing[0]} (it has {known})")
    return {alpha: sum(scores[name] for name in benchmarks) / len(benchmarks) for alpha, scores in by_alpha.items()}


def overlay(results: Path, benchmarks: list[str], scores: dict[float, float], best: float, new: list[float]) -> str:
    """The recipe's overlay: all alphas, old and new, and the best so far, with where it comes from."""
    lines = [f"# From {results}, selected on {', '.join(benchmarks)}:"]
    lines += [f"#   alpha {spelled(alpha)}: {scores[alpha]:.4f}" for alpha in sorted(scores)]
    merge = {"alphas": sorted([*scores, *new]), "selected": best}
    return "\n".join(lines) + "\n" + yaml.safe_dump({"merge": merge}, default_flow_style=None, sort_keys=False)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_verb(main)
