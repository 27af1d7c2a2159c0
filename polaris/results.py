"""The numbers of the report: from verdicts to scores, paired differences and the alpha curve, and their words.

Legend: _P problem, _G response of a problem's group.
"""

import dataclasses
import functools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polaris import statistics
from polaris.errors import UserError
from polaris.statistics import Estimate

# Stands for the unweighted mean over the benchmarks wherever a benchmark is named.
AVERAGE = "average"


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """One model's verdicts on one benchmark.

    problems: ids, sorted; correct_PG: bool [problems, samples] in that order; truncated: share of the responses
    """

    problems: tuple[str, ...]
    correct_PG: NDArray[np.bool_]
    truncated: float


Tables = Mapping[str, Mapping[str, Verdicts]]  # model -> benchmark -> verdicts


def tabulate(
    where: str,
    problem: NDArray[np.str_],
    sample: NDArray[np.int32],
    correct: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
) -> Verdicts:
    """Verdicts of one benchmark from columns in any order, one entry per response.

    Raises UserError when a sample is missing or there twice: an average over what happens to be there is no avg@k.
    """
    problems, row = np.unique(problem, return_inverse=True)
    found_P = np.bincount(row)
    samples = int(found_P.max())
    for index in np.flatnonzero(found_P != samples):
        raise UserError(
            f"{where}: problem {problems[index]} has {found_P[index]} samples, others have {samples}; grade it again"
        )
    if len(problems) < 2:
        raise UserError(f"{where}: it has {len(problems)} problem; two are needed to tell how certain a score is")
    order = np.lexsort((sample, row))
    wrong_PG = sample[order].reshape(-1, samples) != np.arange(samples)
    for index in np.flatnonzero(wrong_PG.any(axis=1)):
        raise UserError(f"{where}: problem {problems[index]}: its samples are not 0 to {samples - 1}; grade it again")
    return Verdicts(tuple(problems.tolist()), correct[order].reshape(-1, samples), float(truncated.mean()))


def check_tables(tables: Tables, wanted: Sequence[str]) -> None:
    """Every wanted model, and no other, was asked the same questions. Raises UserError."""
    if missing := [name for name in wanted if name not in tables]:
        raise UserError(f"--scores: there are none of {', '.join(missing)}, which the report's settings name")
    if extra := [name for name in tables if name not in wanted]:
        raise UserError(f"--scores: {', '.join(extra)} is named by neither ladder, generalists nor alphas")
    first = wanted[0]
    if AVERAGE in tables[first]:
        raise UserError(f"a benchmark must not be called {AVERAGE}: that is the mean over the benchmarks")
    for name in wanted[1:]:
        if odd := sorted(set(tables[first]) ^ set(tables[name])):
            lacking = name if odd[0] in tables[first] else first
            raise UserError(f"scores of {lacking}: benchmark {odd[0]} is missing, which other models have")
        for benchmark, verdicts in tables[first].items():
            if odd := sorted(set(verdicts.problems) ^ set(tables[name][benchmark].problems)):
                lacking = name if odd[0] in verdicts.problems else first
                raise UserError(f"scores of {lacking}: benchmark {benchmark} lacks problem {odd[0]}, which others have")


class Numbers:
    """Estimates by name, each with a generator of its own: another model in the table changes no other's interval."""

    def __init__(self, tables: Tables, confidence: float, resamples: int, seed: int):
        self.tables, self.confidence, self.resamples, self.seed = tables, confidence, resamples, seed
        self.benchmarks = list(next(iter(tables.values())))

    def _rng(self, *names: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32("\0".join(names).encode())])

    @functools.cache  # noqa: B019 (lives as long as the report)
    def score(self, model: str, benchmark: str) -> Estimate:
        """avg@k of a model on a benchmark, or on their average."""
        if benchmark == AVERAGE:
            return statistics.mean([self.score(model, name) for name in self.benchmarks])
        rng = self._rng(model, benchmark)
        return statistics.average(self.tables[model][benchmark].correct_PG, self.resamples, rng)

    @functools.cache  # noqa: B019 (lives as long as the report)
    def difference(self, a: str, b: str, benchmark: str) -> Estimate:
        """avg@k of a minus that of b, paired by question."""
        if benchmark == AVERAGE:
            return statistics.mean([self.difference(a, b, name) for name in self.benchmarks])
        both = [self.tables[name][benchmark].correct_PG for name in (a, b)]
        return statistics.difference(*both, self.resamples, self._rng(a, b, benchmark))

    def interval(self, estimate: Estimate) -> list[float]:
        """[low, high] for JSON."""
        return [round(end, 6) for end in estimate.interval(self.confidence)]


def model_rows(numbers: Numbers, trained: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`models` of results.json: a row per model and benchmark, and one for their average.

    trained: model -> {"start": name or None, "steps": number or None}; k: responses per problem, null for the average
    """
    rows = []
    for model, by_benchmark in numbers.tables.items():
        for benchmark in [*numbers.benchmarks, AVERAGE]:
            over = list(by_benchmark.values()) if benchmark == AVERAGE else [by_benchmark[benchmark]]
            estimate = numbers.score(model, benchmark)
            rows.append(
                {
                    "name": model,
                    "start": trained.get(model, {}).get("start"),
                    "steps": trained.get(model, {}).get("steps"),
                    "benchmark": benchmark,
                    "k": None if benchmark == AVERAGE else over[0].correct_PG.shape[1],
                    "n": sum(len(verdicts.problems) for verdicts in over),
                    "avg": round(estimate.value, 6),
                    "interval": numbers.interval(estimate),
                    "truncated": round(float(np.mean([verdicts.truncated for verdicts in over])), 6),
                }
            )
    return rows


def compared(
    ladder: Sequence[str], generalists: Sequence[str], alphas: Mapping[str, str], start: Mapping[str, str | None]
) -> list[tuple[str, str]]:
    """Which pairs (a, b) are compared, a against b.

    Each ladder model against the one it started from, and against earlier ones with the same start; each generalist
    against those before it; each merged model against both generalists.
    """
    pairs = [(name, start[name]) for name in ladder if start.get(name) in ladder]
    for position, name in enumerate(ladder):
        pairs += [(name, other) for other in ladder[:position] if start.get(name) and start[name] == start.get(other)]
    for position, name in enumerate(generalists):
        pairs += [(name, other) for other in generalists[:position]]
    merged = [model for _, model in by_alpha(alphas) if model not in generalists]
    return pairs + [(name, other) for name in merged for other in generalists]


def pair_rows(numbers: Numbers, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """`pairs` of results.json: `difference` is avg of a minus avg of b."""
    rows = []
    for a, b in pairs:
        for benchmark in [*numbers.benchmarks, AVERAGE]:
            estimate = numbers.difference(a, b, benchmark)
            row = {"a": a, "b": b, "benchmark": benchmark, "difference": round(estimate.value, 6)}
            rows.append(row | {"interval": numbers.interval(estimate)})
    return rows


def by_alpha(alphas: Mapping[str, str]) -> list[tuple[str, str]]:
    """(alpha, model) in numeric order."""
    return sorted(alphas.items(), key=lambda item: float(item[0]))


def alpha_rows(numbers: Numbers, alphas: Mapping[str, str]) -> list[dict[str, Any]]:
    """`alphas` of results.json, in the order of alpha: 0 is the distilled model, 1 the base."""
    rows = []
    for alpha, model in by_alpha(alphas):
        for benchmark in [*numbers.benchmarks, AVERAGE]:
            estimate = numbers.score(model, benchmark)
            row = {"alpha": float(alpha), "model": model, "benchmark": benchmark, "avg": round(estimate.value, 6)}
            rows.append(row | {"interval": numbers.interval(estimate)})
    return rows


# --- words ------------------------------------------------------------------------------------------------------
def percent(value: float) -> str:
    """0.5891 -> 58.9"""
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """0.0431 -> +4.3, with a true minus sign; what rounds to zero has no sign."""
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def span(interval: Sequence[float], word=percent) -> str:
    """[0.561, 0.627] -> [56.1, 62.7]"""
    return f"[{word(interval[0])}, {word(interval[1])}]"


def verdict(interval: Sequence[float]) -> str:
    """What a paired interval allows to say: higher, lower, or that no difference was shown."""
    if interval[0] <= 0 <= interval[1]:
        return "no difference shown"
    return "higher" if interval[0] > 0 else "lower"
