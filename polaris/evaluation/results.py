"""Verdicts -> scores, paired differences and the alpha curve, and how these are written."""

import dataclasses
import functools
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polaris.evaluation import significance, statistics
from polaris.evaluation.claims import Claim
from polaris.evaluation.settings import Published, SelfDistillation
from polaris.evaluation.statistics import Estimate
from polaris.evaluation.verdicts import AVERAGE, Tables, Verdicts

POWER = 0.8  # of the minimum detectable effect
# Shares of responses that stand beside every score, and the table each is the mean of.
ENDINGS = {"truncated": "truncated_PG", "no_answer": "no_answer_PG", "ungraded": "ungraded_PG", "tokens": "tokens_PG"}
# Families of comparisons: p-values are corrected for all comparisons of one family.
LADDER, GENERALISTS, SWEEP, CLAIMS = "ladder", "generalists", "sweep", "claims"
SELF_DISTILLATION, EXTRA, MODELS = "self-distillation", "extra evaluations", "models"


class Numbers:
    """Estimates by name, with generators by name: another model in the table changes no other's interval.

    select_on: benchmarks on which an alpha is chosen; they are no part of the average
    """

    def __init__(self, tables: Tables, confidence: float, resamples: int, seed: int, select_on: Sequence[str] = ()):
        self.tables, self.confidence, self.resamples, self.seed = tables, confidence, resamples, seed
        self.benchmarks = list(next(iter(tables.values())))
        self.headline = [name for name in self.benchmarks if name not in select_on]

    def rng(self, *names: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32("\0".join(names).encode())])

    @functools.cache  # noqa: B019 (lives as long as the report)
    def score(self, model: str, benchmark: str) -> Estimate:
        """avg@k of a model on a benchmark, or on their average."""
        if benchmark == AVERAGE:
            return statistics.mean([self.score(model, name) for name in self.headline])
        rng = self.rng(model, benchmark)
        return statistics.average(self.tables[model][benchmark].correct_PG, self.resamples, rng)

    @functools.cache  # noqa: B019 (lives as long as the report)
    def difference(self, a: str, b: str, benchmark: str) -> Estimate:
        """avg@k of a minus that of b, paired by question; all pairs on a benchmark over the same draws of questions."""
        if benchmark == AVERAGE:
            return statistics.mean([self.difference(a, b, name) for name in self.headline])
        a_PG, b_PG = (self.tables[name][benchmark].correct_PG for name in (a, b))
        drawn = self._drawn(benchmark)
        return statistics.drawn_difference(a_PG, b_PG, drawn[a], drawn[b])

    @functools.cache  # noqa: B019 (lives as long as the report)
    def _drawn(self, benchmark: str) -> dict[str, NDArray[np.float64]]:
        """Model -> right responses in each draw of the benchmark's questions."""
        right_PM = statistics.rights([by_benchmark[benchmark].correct_PG for by_benchmark in self.tables.values()])
        sums_RM = statistics.drawn_sums(right_PM, self.resamples, self.rng(benchmark))
        return dict(zip(self.tables, sums_RM.T, strict=True))

    @functools.cache  # noqa: B019 (lives as long as the report)
    def _signed(self, benchmark: str) -> dict[str, NDArray[np.float64]]:
        """Model -> the sum of its shares of right responses, with a random sign for each question."""
        shares = [by_benchmark[benchmark].correct_PG.mean(axis=1) for by_benchmark in self.tables.values()]
        sums_RM = significance.signed_sums(np.stack(shares, axis=1), self.resamples, self.rng("p", benchmark))
        return dict(zip(self.tables, sums_RM.T, strict=True))

    def differences(self, a: str, b: str, benchmark: str) -> list[NDArray[np.float64]]:
        """The paired differences of each question, of one benchmark or of each in the average."""
        names = self.headline if benchmark == AVERAGE else [benchmark]
        tables = [(self.tables[a][name], self.tables[b][name]) for name in names]
        return [significance.differences(table_a.correct_PG, table_b.correct_PG) for table_a, table_b in tables]

    def p_value(self, a: str, b: str, benchmark: str) -> float:
        """Of the paired permutation test, alone; for the average every benchmark counts the same."""
        names = self.headline if benchmark == AVERAGE else [benchmark]
        observed = [(float(one_P.sum()), len(one_P)) for one_P in self.differences(a, b, benchmark)]
        sums = [self._signed(name) for name in names]
        sum_R = sum((one[a] - one[b]) / size for one, (_, size) in zip(sums, observed, strict=True))
        return significance.share_beyond(np.asarray(sum_R), sum(total / size for total, size in observed))

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
            over = [by_benchmark[name] for name in (numbers.headline if benchmark == AVERAGE else [benchmark])]
            estimate = numbers.score(model, benchmark)
            rows.append(
                {
                    "name": model,
                    "start": trained.get(model, {}).get("start"),
                    "steps": trained.get(model, {}).get("steps"),
                    "benchmark": benchmark,
                    "k": None if benchmark == AVERAGE else over[0].samples,
                    "n": sum(len(verdicts.problems) for verdicts in over),
                    "avg": round(estimate.value, 6),
                    "interval": numbers.interval(estimate),
                }
                | {ending: _mean(over, table) for ending, table in ENDINGS.items()}
            )
    return rows


def published_rows(numbers: Numbers, published: Published | None) -> list[dict[str, Any]]:
    """`published` of results.json: what a source prints of this run's models and reported benchmarks, beside our score.

    Its averages only where they are over the same benchmarks as ours.
    """
    if published is None:
        return []
    same = set(numbers.headline) == set(published.average_of)
    shown = [*numbers.headline, *([AVERAGE] if same else [])]
    return [
        {
            "name": model,
            "benchmark": benchmark,
            "published": round(printed[benchmark] / 100, 6),
            "avg": round(numbers.score(model, benchmark).value, 6),
        }
        for model in numbers.tables
        if (printed := published.values.get(model))
        for benchmark in shown
        if benchmark in printed
    ]


def _mean(over: Iterable[Verdicts], table: str) -> float:
    """The mean over the benchmarks of a table's mean."""
    return round(float(np.mean([getattr(verdicts, table).mean() for verdicts in over])), 6)


def compared(
    ladder: Sequence[str],
    generalists: Sequence[str],
    models: Sequence[str],
    alphas: Mapping[str, str],
    start: Mapping[str, str | None],
) -> list[tuple[str, str, str]]:
    """The compared pairs, as (family, a, b): a against b; p-values are corrected within a family.

    Each ladder model against the one it started from, and against earlier ones with the same start; each generalist
    against those before it; each further model against all of these and those before it; each merged model against both
    generalists.
    """
    pairs = [(LADDER, name, before) for name in ladder if (before := start.get(name)) is not None and before in ladder]
    for position, name in enumerate(ladder):
        same = [other for other in ladder[:position] if start.get(name) and start[name] == start.get(other)]
        pairs += [(LADDER, name, other) for other in same]
    for position, name in enumerate(generalists):
        pairs += [(GENERALISTS, name, other) for other in generalists[:position]]
    for position, name in enumerate(models):
        pairs += [(MODELS, name, other) for other in (*ladder, *generalists, *models[:position])]
    merged = [model for _, model in by_alpha(alphas) if model not in generalists]
    return pairs + [(SWEEP, name, other) for name in merged for other in generalists]


def evaluated_model(name: str) -> str:
    """The model of an extra evaluation <model>@<entry>: grpo@no_yarn -> grpo. A model's own name stays as it is."""
    model, _, _ = name.rpartition("@")
    return model or name


def own_compared(
    generalists: Sequence[str], alphas: Mapping[str, str], own: SelfDistillation | None
) -> list[tuple[str, str, str]]:
    """`compared` for the control: against its own two ends, and at each alpha the recipe's model against it."""
    if own is None:
        return []
    base, distilled = generalists
    merged = {alpha: model for alpha, model in by_alpha(own.alphas) if model not in (base, own.distilled)}
    pairs = [(SELF_DISTILLATION, own.distilled, base), (SELF_DISTILLATION, distilled, own.distilled)]
    pairs += [(SELF_DISTILLATION, name, other) for name in merged.values() for other in (base, own.distilled)]
    return pairs + [(SELF_DISTILLATION, alphas[alpha], name) for alpha, name in merged.items()]


def pair_rows(numbers: Numbers, pairs: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """`pairs` of results.json: `difference` is avg of a minus avg of b.

    p: of this comparison alone; p_holm: corrected for all comparisons of the family on this benchmark
    detectable: minimum detectable effect, the smallest true difference that is shown with probability POWER; 0 where
        all questions differ equally
    """
    rows = []
    for benchmark in [*numbers.benchmarks, AVERAGE]:
        p = {pair: numbers.p_value(*pair[1:], benchmark) for pair in pairs}
        for family in dict.fromkeys(family for family, _, _ in pairs):
            members = [pair for pair in pairs if pair[0] == family]
            for (_, a, b), holm in zip(members, significance.holm([p[pair] for pair in members]), strict=True):
                estimate = numbers.difference(a, b, benchmark)
                detectable = significance.detectable(numbers.differences(a, b, benchmark), numbers.confidence, POWER)
                rows.append(
                    {"family": family, "a": a, "b": b, "benchmark": benchmark}
                    | {"difference": round(estimate.value, 6), "interval": numbers.interval(estimate)}
                    | {"p": p[family, a, b], "p_holm": holm, "detectable": round(detectable, 6)}
                )
    return rows


def claim_rows(numbers: Numbers, claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """`claims` of results.json: each with its comparison by benchmark, as in `pairs`; p_holm is over all claims."""
    pairs = dict.fromkeys((CLAIMS, claim.a, claim.b) for claim in claims if claim.b)
    differences: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in pair_rows(numbers, list(pairs)):
        differences.setdefault((row["a"], row["b"]), {})[row["benchmark"]] = row
    return [dataclasses.asdict(claim) | {"differences": differences.get((claim.a, claim.b), {})} for claim in claims]


def by_alpha(alphas: Mapping[str, str]) -> list[tuple[str, str]]:
    """(alpha, model) in numeric order; of shares of several models, 0.50_0.25_0.25, by the first, then the second."""
    return sorted(alphas.items(), key=lambda item: tuple(map(float, item[0].split("_"))))


def alpha_rows(numbers: Numbers, alphas: Mapping[str, str]) -> list[dict[str, Any]]:
    """`alphas` and `own_alphas` of results.json, in the order of alpha: 0 is the distilled model, 1 the base."""
    rows = []
    for alpha, model in by_alpha(alphas):
        for benchmark in [*numbers.benchmarks, AVERAGE]:
            estimate = numbers.score(model, benchmark)
            row = {"alpha": float(alpha), "model": model, "benchmark": benchmark, "avg": round(estimate.value, 6)}
            rows.append(row | {"interval": numbers.interval(estimate)})
    return rows


def choice(
    numbers: Numbers, alphas: Mapping[str, str], select_on: Sequence[str], selected: str | None
) -> dict[str, Any]:
    """`choice` of results.json: which alpha was chosen, and on what.

    best: the alpha with the highest mean on the selection split, null without a split; selected: the recipe's, or null
    on_reported: an alpha is selected although no benchmark was kept apart to select it on
    """
    best = None
    if select_on and alphas:
        mean = lambda name: float(np.mean([numbers.score(alphas[name], benchmark).value for benchmark in select_on]))
        best = max((name for name, _ in by_alpha(alphas)), key=mean)
    chosen = selected or best
    return {
        "select_on": list(select_on),
        "best": best,
        "selected": selected,
        "model": alphas[chosen] if chosen else None,
        "on_reported": selected is not None and not select_on,
    }


# --- how numbers are written ---
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


def p_word(p: float) -> str:
    """0.0123 -> 0.012, 0.00004 -> < 0.001"""
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def verdict(row: Mapping[str, Any], confidence: float) -> str:
    """The verdict of a paired comparison: higher, lower, or no difference shown.

    A difference is shown where the interval excludes 0 and the corrected p-value is small enough.
    row: of `pairs`
    """
    low, high = row["interval"]
    if low <= 0 <= high or row["p_holm"] > 1 - confidence:
        return "no difference shown"
    return "higher" if low > 0 else "lower"
