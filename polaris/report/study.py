"""Findings over several trainings: each claim with its control, from the records of the replicates.

A record is docs/study/*.json as polaris/commands/study.py writes it; the claims are those of a design
(study_designs.py). A claim without its control, or with fewer than three trainings, has no conclusion; what is missing
is named.
Legend: _N replicate, _P problem, _G response of a problem's group, _B benchmark.
"""

import dataclasses
import statistics as moments
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polaris.evaluation import replicates, statistics
from polaris.evaluation.replicates import Pooled
from polaris.evaluation.statistics import Estimate
from polaris.report.study_designs import StudyClaim

CONFIDENCE, RESAMPLES, SEED = 0.95, 10_000, 0
TRAININGS = 3  # fewer have no interval over trainings here: of two it would be 12.7 standard errors to each side
ENDS = 5  # steps at the start and at the end of an RL stage whose entropy is averaged

Record = Mapping[str, Any]


def correct_PG(record: Record, model: str, benchmark: str) -> NDArray[np.bool_]:
    """bool [problems, samples] from the counts of a record: which of a problem's samples were right is not kept."""
    one = record["models"][model]
    k = one.get("k", {}).get(benchmark, record["benchmarks"][benchmark]["k"])
    return np.arange(k) < np.array(one["correct"][benchmark])[:, None]


def headline(record: Record) -> list[str]:
    """Benchmarks that are reported."""
    return [name for name, benchmark in record["benchmarks"].items() if not benchmark["selects"]]


def chosen(record: Record, sweep: str) -> str | None:
    """A sweep's model with the best mean over the benchmarks kept for this choice; the lowest alpha of equal ones.

    None where a model of the sweep is missing: a choice among fewer is another one.
    """
    models = record["alphas"].get(sweep, {})
    apart = [name for name, benchmark in record["benchmarks"].items() if benchmark["selects"]]
    if not models or not apart or any(model not in record["models"] for model in models.values()):
        return None
    score = lambda alpha: moments.fmean(record["models"][models[alpha]]["accuracy"][name] for name in apart)
    return models[max(sorted(models, key=float), key=score)]


def model_of(record: Record, name: str) -> str | None:
    """The model that a claim names, or None where it is missing."""
    if name in record["alphas"]:
        return chosen(record, name)
    return name if name in record["models"] else None


def score(record: Record, model: str, benchmarks: Sequence[str]) -> Estimate:
    """The unweighted mean of a model's avg@k over the benchmarks."""
    rng = np.random.default_rng([SEED, zlib.crc32(model.encode())])
    tables = [correct_PG(record, model, name) for name in benchmarks]
    return statistics.mean([statistics.average(table, RESAMPLES, rng) for table in tables])


def differences(
    records_N: Sequence[Record], a_N: Sequence[str], b_N: Sequence[str], benchmarks: Sequence[str]
) -> Pooled:
    """a minus b over replicates; of several benchmarks their mean."""
    by_benchmark = []
    for name in benchmarks:
        pairs = zip(records_N, a_N, b_N, strict=True)
        difference_NP = np.array(
            [correct_PG(r, a, name).mean(axis=1) - correct_PG(r, b, name).mean(axis=1) for r, a, b in pairs]
        )
        rng = np.random.default_rng([SEED, zlib.crc32(f"{a_N}{b_N}{name}".encode())])
        by_benchmark.append(replicates.pooled(difference_NP, RESAMPLES, rng))
    return replicates.over_benchmarks(by_benchmark)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A claim on a benchmark, or on several together: where both models were there, and where not.

    pooled: None where no replicate has both; models: replicate -> (a, control); missing: replicate -> names
    """

    claim: StudyClaim
    benchmark: str
    pooled: Pooled | None
    models: Mapping[int, tuple[str, str]]
    missing: Mapping[int, Sequence[str]]

    @property
    def these(self) -> tuple[float, float] | None:
        """The interval of the mean over these trainings, for other questions and samples."""
        return self.pooled and self.pooled.mean.interval(CONFIDENCE)

    @property
    def others(self) -> tuple[float, float] | None:
        """The interval for other trainings; None with fewer than TRAININGS."""
        return self.pooled.over_trainings(CONFIDENCE) if self.pooled and len(self.models) >= TRAININGS else None

    @property
    def conclusion(self) -> str:
        """higher, lower, no difference shown, or none with its reason: a missing model, too few trainings."""
        if self.pooled is None:
            return (
                "none: " + ", ".join(sorted({name for names in self.missing.values() for name in names})) + " not run"
            )
        if self.these is None or self.others is None:
            return "none: one training" if len(self.models) == 1 else f"none: {len(self.models)} trainings"
        if excluded := [span for span in (self.these, self.others) if not span[0] <= 0 <= span[1]]:
            word = "higher" if excluded[0][0] > 0 else "lower"
            where = {1: "in these trainings" if excluded[0] == self.these else "on these questions", 2: ""}[
                len(excluded)
            ]
            return f"{word} {where}, not shown for others" if where else word
        return "no difference shown"


def findings(
    records: Sequence[Record], claims: Sequence[StudyClaim], benchmarks: Sequence[str], label: str
) -> list[Finding]:
    """Each claim on the mean of the benchmarks, over the replicates that have both of its models."""
    rows = []
    for claim in claims:
        there: list[Record] = []
        models: dict[int, tuple[str, str]] = {}
        missing: dict[int, Sequence[str]] = {}
        for record in records:
            a, control = model_of(record, claim.a), model_of(record, claim.control)
            if a is None or control is None:
                missing[record["replicate"]] = [name for name in (claim.a, claim.control) if not model_of(record, name)]
            else:
                there.append(record)
                models[record["replicate"]] = a, control
        a_N, b_N = zip(*models.values(), strict=True) if models else ((), ())
        pooled = differences(there, a_N, b_N, benchmarks) if there else None
        rows.append(Finding(claim, label, pooled, models, missing))
    return rows


def entropy_change(record: Record, stage: str) -> tuple[float, float] | None:
    """Mean entropy per token of an RL stage's first and last steps; None where it is missing."""
    curve = record["rl"].get(stage, {}).get("entropy", [])
    return (moments.fmean(curve[:ENDS]), moments.fmean(curve[-ENDS:])) if len(curve) >= 2 * ENDS else None
