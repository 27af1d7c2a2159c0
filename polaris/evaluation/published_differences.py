"""What a source says that one model gains over another, beside the paired difference of this run."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from polaris.evaluation.settings import Published

Judgement = Literal["consistent", "above", "below", "cannot be told"]


def published_differences(pairs: Sequence[Mapping[str, Any]], published: Published | None) -> list[dict[str, Any]]:
    """`published_differences` of results.json: every comparison of which a source prints both scores.

    pairs: of results.json. A printed difference is of printed scores, without an interval, and of the source's own
    samples: this run's interval says how far it can be from the truth, not how far the source's can.
    """
    if published is None:
        return []
    rows = {}
    for pair in pairs:
        a, b = (published.values.get(pair[model], {}).get(pair["benchmark"]) for model in ("a", "b"))
        if a is not None and b is not None:
            claimed = round((a - b) / 100, 6)
            values = {key: pair[key] for key in ("a", "b", "benchmark", "difference", "interval", "detectable")}
            rows[pair["a"], pair["b"], pair["benchmark"]] = values | {
                "published": claimed,
                "judgement": judgement(claimed, pair["interval"], pair["detectable"]),
            }
    return list(rows.values())


def judgement(published: float, interval: Sequence[float], detectable: float) -> Judgement:
    """How a printed difference stands to this run's interval.

    above, below: this run's difference is larger, or smaller, than the printed one, which its interval excludes;
    cannot be told: it includes the printed one and 0, and the printed one is smaller than the minimum detectable
    effect; consistent: otherwise
    """
    low, high = interval
    if published < low:
        return "above"
    if published > high:
        return "below"
    return "cannot be told" if low <= 0 <= high and abs(published) < detectable else "consistent"
