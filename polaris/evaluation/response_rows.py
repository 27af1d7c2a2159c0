"""The numbers of the report beside the scores: how responses end, their length, other scores, the hardest problems.

Legend: _P problem, _G response of a problem's group, _X column of a table of measures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polaris.evaluation import hardest, lengths, significance, statistics
from polaris.evaluation.pass_at_k import majority, pass_at_k
from polaris.evaluation.results import ENDINGS, Numbers
from polaris.evaluation.verdicts import Verdicts
from polaris.stage.errors import UserError

UNION = "union"  # of the headline benchmarks, as a pool of hard problems
Column = tuple[NDArray[np.float64], NDArray[np.float64]]  # value and weight per problem
CHOSEN, OTHERS, ALL = "those that chose", "the others", "all"  # samples of a score on the hardest problems


def check_samples(numbers: Numbers, pass_k: Sequence[int]) -> None:
    """Raises UserError where a model has fewer stored samples than a pass@k needs."""
    for model, by_benchmark in numbers.tables.items():
        for benchmark, verdicts in by_benchmark.items():
            if pass_k and max(pass_k) > verdicts.samples:
                raise UserError(
                    f"report.pass_k: pass@{max(pass_k)} needs as many samples of each problem; {model} has "
                    f"{verdicts.samples} on {benchmark} (evaluate.generate.k): ask for less, or generate more"
                )


def response_rows(numbers: Numbers, pass_k: Sequence[int], bounds: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """`measures`, `lengths` and `budgets` of results.json; a measure that is defined for no problem has no row.

    measures: {name, benchmark, measure, n, value, interval}, how responses end and their other scores; n: problems for
        which it is defined
    lengths: {name, benchmark, group, share, value, interval}, accuracy of the responses of a length (in tokens) and
        what share of all they are; value and interval are null for a group without a response
    budgets: {name, benchmark, budget, value, interval}, accuracy if a response may have so many tokens
    """
    rows: dict[str, list[dict[str, Any]]] = {"measures": [], "lengths": [], "budgets": []}
    for benchmark in numbers.benchmarks:
        tables = {model: by_benchmark[benchmark] for model, by_benchmark in numbers.tables.items()}
        longest = max(int(verdicts.tokens_PG.max()) for verdicts in tables.values())
        columns: dict[tuple[str, str, Any], Column] = {}
        for model, verdicts in tables.items():
            columns |= {(model, "measure", key): column for key, column in measures(verdicts, pass_k).items()}
            columns |= {(model, "group", key): column for key, column in by_length(verdicts, bounds).items()}
            columns |= {(model, "budget", key): column for key, column in by_budget(verdicts, longest).items()}
        summaries = _summaries(numbers, columns, benchmark)
        for (model, kind, key), (_, weight_P) in columns.items():
            row = {"name": model, "benchmark": benchmark, kind: key}
            if kind == "group":
                row["share"] = round(float(weight_P.sum()) / tables[model].correct_PG.size, 6)
                rows["lengths"].append(row | summaries.get((model, kind, key), {"value": None, "interval": None}))
            elif (model, kind, key) in summaries:
                defined = {"n": int((weight_P > 0).sum())} if kind == "measure" else {}
                rows[f"{kind}s"].append(row | defined | summaries[model, kind, key])
    return rows


def measures(verdicts: Verdicts, pass_k: Sequence[int]) -> dict[str, Column]:
    """How responses end and their other scores, per problem."""
    value_by_name = {name: getattr(verdicts, table).mean(axis=1) for name, table in ENDINGS.items()}
    value_by_name |= {f"pass@{k}": pass_at_k(verdicts.correct_PG, k) for k in pass_k}
    value_by_name[f"majority@{verdicts.samples}"] = majority(verdicts.vote_PG, verdicts.correct_PG)
    columns = {name: (value_P, np.ones_like(value_P)) for name, value_P in value_by_name.items()}
    distinct_P = verdicts.distinct_P
    return columns | {"distinct 4-grams": (np.nan_to_num(distinct_P), (~np.isnan(distinct_P)).astype(np.float64))}


def by_length(verdicts: Verdicts, bounds: Sequence[int]) -> dict[str, Column]:
    """Accuracy of the responses of each length group; a problem weighs as many responses as it has there."""
    columns, number_PG = {}, lengths.groups(verdicts.tokens_PG, bounds)
    for number, group in enumerate(lengths.group_names(bounds)):
        mine_PG = number_PG == number
        right_P, there_P = (mine_PG & verdicts.correct_PG).sum(axis=1), mine_PG.sum(axis=1)
        columns[group] = (right_P / np.maximum(there_P, 1), there_P.astype(np.float64))
    return columns


def by_budget(verdicts: Verdicts, longest: int) -> dict[int, Column]:
    """Accuracy where a response longer than the budget counts as wrong."""
    curve = {}
    for budget in lengths.budgets(longest):
        right_P = lengths.within(verdicts.correct_PG, verdicts.tokens_PG, budget).mean(axis=1)
        curve[budget] = (right_P, np.ones_like(right_P))
    return curve


def hardest_pools(numbers: Numbers, base: str, models: Sequence[str], worst_k: int) -> list[dict[str, Any]]:
    """`hardest` of results.json: the problems that half of the base's samples solve least, and everybody's score there.

    A pool per headline benchmark and one of all: {pool, of, problems: [benchmark/id], rows: [{name, samples, value,
    interval, difference, ..., per_problem}]}; differences are to the base's other samples. Empty where the base has a
    single sample per problem, which cannot both choose and be scored.
    """
    if min(numbers.tables[base][name].samples for name in numbers.headline) < 2:
        return []
    pools = {name: [name] for name in numbers.headline}
    if len(pools) > 1:
        pools[UNION] = numbers.headline
    return [_pool(numbers, base, models, worst_k, pool, names) for pool, names in pools.items()]


def _pool(
    numbers: Numbers, base: str, models: Sequence[str], worst_k: int, pool: str, benchmarks: Sequence[str]
) -> dict[str, Any]:
    split = [hardest.halves(numbers.tables[base][name].correct_PG) for name in benchmarks]
    chose_P, others_P = (np.concatenate(half) for half in zip(*split, strict=True))
    places = hardest.worst(chose_P, worst_k, numbers.rng("hardest", base, pool))
    ids = [f"{name}/{problem}" for name in benchmarks for problem in numbers.tables[base][name].problems]
    share_P = {(base, CHOSEN): chose_P, (base, OTHERS): others_P}
    for model in models:
        means = [numbers.tables[model][name].correct_PG.mean(axis=1) for name in benchmarks]
        share_P[model, ALL] = np.concatenate(means)
    rows = []
    for (name, samples), value_P in share_P.items():
        row = {"name": name, "samples": samples} | _mean(numbers, value_P[places], "hardest", pool, name, samples)
        if samples == ALL:
            change_P = (value_P - others_P)[places]
            change = _mean(numbers, change_P, "hardest", pool, name, base)
            p = significance.permutation_p(change_P, numbers.resamples, numbers.rng("hardest p", pool, name, base))
            row |= {"difference": change["value"], "difference_interval": change["interval"], "p": p}
        rows.append(row | {"per_problem": [round(float(value), 6) for value in value_P[places]]})
    return {"pool": pool, "of": len(ids), "problems": [ids[place] for place in places], "rows": rows}


def _mean(numbers: Numbers, value_P: NDArray[np.float64], *names: str) -> dict[str, Any]:
    estimate = statistics.weighted_mean(value_P, np.ones_like(value_P), numbers.resamples, numbers.rng(*names))
    return {"value": round(estimate.value, 6), "interval": numbers.interval(estimate)}


def _summaries(numbers: Numbers, columns: Mapping[Any, Column], benchmark: str) -> dict[Any, dict[str, Any]]:
    """{value, interval} of each column that has a weight, over the same draws of the benchmark's questions."""
    kept = {key: column for key, column in columns.items() if column[1].any()}
    value_PX, weight_PX = (np.stack(part, axis=1) for part in zip(*kept.values(), strict=True))
    means = statistics.weighted_means(value_PX, weight_PX, numbers.resamples, numbers.rng("responses", benchmark))
    return {
        key: {"value": round(mean.value, 6), "interval": numbers.interval(mean)}
        for key, mean in zip(kept, means, strict=True)
    }
