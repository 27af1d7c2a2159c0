"""What share of the specialist's lead over the base generalist a road recovers, with its intervals.

The share is a ratio of two paired differences, road minus base and specialist minus base. It is only stated where the
interval of the lead excludes 0: a share of a lead that may be none is no number.
Legend: _N replicate, _P question, _R bootstrap draw.
"""

import dataclasses
import math
import statistics as moments
from collections.abc import Mapping, Sequence

import numpy as np

from polaris.evaluation import replicates, statistics
from polaris.report import study
from polaris.report.study import CONFIDENCE, RESAMPLES, SEED, TRAININGS, Record
from polaris.tournament.roads import BASE, SPECIALIST

Span = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Share:
    """Recovered gain over lead. these: for other questions and samples; others: for other trainings; None: not stated,
    as the lead's own interval does not exclude 0, or of fewer than three trainings
    """

    value: float
    these: Span | None
    others: Span | None


def share(records: Sequence[Record], models: Mapping[int, tuple[str, str]], benchmark: str) -> Share | None:
    """Of a road's gain on a benchmark; models: replicate -> (the road's model, the base). None where no replicate has
    them and the specialist, and where the mean lead is none.
    """
    there = [r for r in records if r["replicate"] in models and SPECIALIST in r["models"]]
    if not there:
        return None
    of = lambda record, model: study.correct_PG(record, model, benchmark).mean(axis=1)
    gain_NP = np.array([of(r, models[r["replicate"]][0]) - of(r, BASE) for r in there])
    lead_NP = np.array([of(r, SPECIALIST) - of(r, BASE) for r in there])
    gain_N, lead_N = gain_NP.mean(axis=1).tolist(), lead_NP.mean(axis=1).tolist()
    if moments.fmean(lead_N) <= 0:
        return None
    both_PX = np.stack([gain_NP.mean(axis=0), lead_NP.mean(axis=0)], axis=1)
    gain_R, lead_R = statistics.drawn_sums(both_PX, RESAMPLES, np.random.default_rng(SEED)).T
    low, high = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    these = None
    if np.quantile(lead_R, low) > 0:
        kept = lead_R > 0
        ends = np.quantile(gain_R[kept] / lead_R[kept], [low, high])
        these = float(ends[0]), float(ends[1])
    others = fieller(gain_N, lead_N, CONFIDENCE) if len(there) >= TRAININGS else None
    return Share(moments.fmean(gain_N) / moments.fmean(lead_N), these, others)


def fieller(top_N: Sequence[float], below_N: Sequence[float], confidence: float) -> Span | None:
    """Interval of the ratio of two means of pairs: the ratios r for which Student's t interval of top - r * below holds
    0 (Fieller, Some Problems in Interval Estimation, 1954). None where that is no finite interval: the mean of `below`
    may be 0.
    """
    n = len(top_N)
    t = replicates.student((1 + confidence) / 2, n - 1)
    top, below = moments.fmean(top_N), moments.fmean(below_N)
    scale = t * t / n
    a = below * below - scale * moments.variance(below_N)
    b = top * below - scale * moments.covariance(top_N, below_N)
    c = top * top - scale * moments.variance(top_N)
    if a <= 0:
        return None
    root = math.sqrt(max(0.0, b * b - a * c))
    return (b - root) / a, (b + root) / a
