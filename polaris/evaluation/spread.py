"""How far one model's scores lie apart over its evaluations: other instructions, other sampling, the same questions."""

from collections.abc import Mapping, Sequence
from typing import Any

from polaris.evaluation.results import EXTRA, Numbers, evaluated_model
from polaris.evaluation.verdicts import AVERAGE


def spread_rows(numbers: Numbers, extra: Sequence[str]) -> list[dict[str, Any]]:
    """`spreads` of results.json: a row per model with extra evaluations and benchmark.

    extra: names of the extra evaluations; low, high: the lowest and the highest of the model's scores
    """
    evaluations: dict[str, list[str]] = {}
    for name in extra:
        evaluations.setdefault(evaluated_model(name), []).append(name)
    rows = []
    for model, others in evaluations.items():
        for benchmark in [*numbers.benchmarks, AVERAGE]:
            scores = [numbers.score(name, benchmark).value for name in (model, *others)]
            rows.append(
                {"name": model, "benchmark": benchmark, "evaluations": 1 + len(others)}
                | {"low": round(min(scores), 6), "high": round(max(scores), 6)}
            )
    return rows


def within_spread(pairs: Sequence[Mapping[str, Any]], spreads: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`within_spread` of results.json: comparisons with a difference below the spread of one of the two models.

    Such a difference could be one of prompts or of sampling.
    """
    widths = {(row["name"], row["benchmark"]): row["high"] - row["low"] for row in spreads}
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for pair in pairs:
        own = [widths.get((pair[model], pair["benchmark"])) for model in ("a", "b")]
        width = max((one for one in own if one is not None), default=0.0)
        if pair["family"] != EXTRA and abs(pair["difference"]) < width:
            values = {key: pair[key] for key in ("a", "b", "benchmark", "difference")}
            rows[pair["a"], pair["b"], pair["benchmark"]] = values | {"spread": round(width, 6)}
    return list(rows.values())
