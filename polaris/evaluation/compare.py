"""`polaris compare A B`: two models on the same questions, of one run, of two, or over replicates, in the terminal."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polaris.evaluation import replicates, results, significance, verdicts
from polaris.evaluation.replicates import Pooled
from polaris.evaluation.results import POWER, Numbers
from polaris.evaluation.scores import read_verdicts
from polaris.evaluation.verdicts import AVERAGE, Verdicts
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.terminal import say, say_json, table

CONFIDENCE, RESAMPLES, SEED = 0.95, 20_000, 0


def scores_of(name: str, run: str) -> Path:
    """The manifest of a model's scores: of a name in the run, or of a path to it or to its folder.

    run: its name in runs/, or its folder. Raises UserError when neither is there.
    """
    folder = Path(run) if "/" in run else Path("runs") / run
    for place in (folder / "scores" / name, Path(name)):
        path = place if place.suffix == ".json" else place / "data.json"
        if path.exists():
            return path
    raise UserError(f"{name}: no such model in {folder}/scores, and no such folder")


def lines(a: str, b: str, tables: Mapping[str, Mapping[str, Verdicts]]) -> list[str]:
    """The comparison as lines of text. Raises UserError for benchmarks or problems that only one of them has."""
    verdicts.check_tables(tables, [a, b])
    numbers = Numbers(tables, CONFIDENCE, RESAMPLES, SEED)
    rows = [["benchmark", "questions", a, b, "difference", "p", "min. detectable effect"]]
    for name in [*numbers.benchmarks, AVERAGE] if len(numbers.benchmarks) > 1 else numbers.benchmarks:
        smallest = significance.detectable(numbers.differences(a, b, name), CONFIDENCE, POWER)
        verdicts_a = tables[a].get(name)
        rows.append(
            [
                "their mean" if verdicts_a is None else name,
                "" if verdicts_a is None else f"{len(verdicts_a.problems)} x {verdicts_a.samples}",
                *_numbers(numbers, a, b, name),
                results.p_word(numbers.p_value(a, b, name)),
                f"±{results.percent(smallest)}" if smallest else "–",
            ]
        )
    return [
        f"{a} against {b}: avg@k in % with {100 * CONFIDENCE:g} % interval, paired by question",
        *table(rows),
        "p: paired permutation test, for this comparison alone. Minimum detectable effect: the smallest true",
        "difference that so many questions and samples show in 4 of 5 evaluations. One training each: other seeds",
        "are in none of these numbers.",
    ]


def rows(a: str, b: str, tables: Mapping[str, Mapping[str, Verdicts]]) -> dict[str, Any]:
    """The comparison for programs: `models` and `pairs` of results.json. Raises UserError as `lines`."""
    verdicts.check_tables(tables, [a, b])
    numbers = Numbers(tables, CONFIDENCE, RESAMPLES, SEED)
    return {"models": results.model_rows(numbers, {}), "pairs": results.pair_rows(numbers, [("comparison", a, b)])}


def _numbers(numbers: Numbers, a: str, b: str, benchmark: str) -> list[str]:
    cells = [
        f"{results.percent(score.value)} {results.span(numbers.interval(score))}"
        for score in (numbers.score(model, benchmark) for model in (a, b))
    ]
    change = numbers.difference(a, b, benchmark)
    return [*cells, f"{results.points(change.value)} {results.span(numbers.interval(change), results.points)}"]


def pooled_lines(a: str, b: str, tables_N: Mapping[str, verdicts.Tables]) -> list[str]:
    """The comparison over replicates (run -> tables of both models) as lines of text.

    Raises UserError where a run's models, or two runs, answered other questions.
    """
    by_benchmark = _by_benchmark(a, b, tables_N)
    first = next(iter(tables_N.values()))[a]
    rows = [["benchmark", "questions", *tables_N, "mean: these trainings", "other trainings"]]
    for name, pooled in by_benchmark.items():
        questions = f"{len(first[name].problems)} x {first[name].samples}" if name in first else ""
        spans = pooled.mean.interval(CONFIDENCE), replicates.trainings_interval(pooled.each_N, CONFIDENCE)
        these, others = (results.span(span, results.points) for span in spans)
        mean = results.points(pooled.mean.value)
        label = name if name in first else "their mean"
        rows.append([label, questions, *map(results.points, pooled.each_N), f"{mean} {these}", others])
    level, count = f"{100 * CONFIDENCE:g} %", len(tables_N)
    return [
        f"{a} against {b} in {count} runs: difference of avg@k in points, paired by question, {level} intervals",
        *table(rows),
        "These trainings: what other questions and samples would have given them (bootstrap over questions).",
        f"Other trainings: Student's t interval of the {count} differences, on these questions.",
    ]


def pooled_rows(a: str, b: str, tables_N: Mapping[str, verdicts.Tables]) -> list[dict[str, Any]]:
    """`pooled_lines` for programs, a row per benchmark: the difference in each run, their mean and both intervals."""
    return [
        {
            "benchmark": name,
            "differences": dict(zip(tables_N, map(float, pooled.each_N), strict=True)),
            "mean": float(pooled.mean.value),
            "these_trainings": list(map(float, pooled.mean.interval(CONFIDENCE))),
            "other_trainings": list(map(float, replicates.trainings_interval(pooled.each_N, CONFIDENCE))),
        }
        for name, pooled in _by_benchmark(a, b, tables_N).items()
    ]


def _by_benchmark(a: str, b: str, tables_N: Mapping[str, verdicts.Tables]) -> dict[str, Pooled]:
    """Each benchmark's pooled difference, and that of their mean. Raises UserError as `pooled_lines`."""
    for tables in tables_N.values():
        verdicts.check_tables(tables, [a, b])
    verdicts.check_tables({run: tables[a] for run, tables in tables_N.items()}, list(tables_N))
    first = next(iter(tables_N.values()))[a]
    by_benchmark = {name: _pooled(a, b, name, list(tables_N.values())) for name in first}
    if len(by_benchmark) > 1:
        by_benchmark[AVERAGE] = replicates.over_benchmarks(list(by_benchmark.values()))
    return by_benchmark


def _pooled(a: str, b: str, benchmark: str, tables_N: Sequence[verdicts.Tables]) -> Pooled:
    both_N = [[tables[model][benchmark].correct_PG for model in (a, b)] for tables in tables_N]
    difference_NP = np.array([significance.differences(*both) for both in both_N])
    rng = np.random.default_rng([SEED, zlib.crc32(f"{a}\0{b}\0{benchmark}".encode())])
    return replicates.pooled(difference_NP, RESAMPLES, rng)


def _read(a: str, b: str, run: str, labels: Sequence[str]) -> dict[str, dict[str, Verdicts]]:
    paths = scores_of(a, run), scores_of(b, run)
    return {label: read_verdicts(manifest.read(path)) for label, path in zip(labels, paths, strict=True)}


def main(a: str, b: str, runs: Sequence[str], as_json: bool = False) -> None:
    """Print the comparison of two models. runs: as in `scores_of`; several are replicates"""
    labels = (a, b) if a != b else (f"{a} (1)", f"{b} (2)")
    if len(runs) == 1:
        tables = _read(a, b, runs[0], labels)
        say_json(rows(*labels, tables)) if as_json else say("\n".join(lines(*labels, tables)))
        return
    if len(set(runs)) < len(runs) or a == b or "/" in a + b:
        raise UserError("--runs: name different runs, and two different models that each of them has")
    tables_N = {Path(run).name: _read(a, b, run, labels) for run in runs}
    say_json(pooled_rows(a, b, tables_N)) if as_json else say("\n".join(pooled_lines(a, b, tables_N)))
