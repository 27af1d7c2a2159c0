"""The roads of the tournament (configs/laptop_tournament.yaml), and the claims about them, each with its control."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from polaris.report.study_designs import SELF_SWEEP, SPECIALIST_SWEEP, Design, StudyClaim

BASE, SPECIALIST = "base_large", "grpo"  # where every road begins, and what it is to bring in


@dataclasses.dataclass(frozen=True)
class Road:
    """One way from the specialist into the generalist.

    model: what it makes; title: in sentences; stages: that it costs beside base and specialist, in order; merged: the
    sweep of its merges with the base, None without one; control: whether it goes without the specialist or only costs
    as much as another one
    """

    model: str
    title: str
    stages: tuple[str, ...]
    merged: str | None = None
    control: bool = False


ROADS = (
    Road("distilled", "trace SFT", ("traces", "distilled"), SPECIALIST_SWEEP),
    Road("opd", "OPD", ("opd",), "merge of opd"),
    Road("sft_opd", "SFT then OPD", ("traces", "distilled", "sft_opd"), "merge of sft_opd"),
    Road("exopd", "ExOPD", ("exopd",), "merge of exopd"),
    Road("delta", "RL-delta OPD", ("delta",), "merge of delta"),
    Road("base_large@rast", "RAST", ()),
    Road("distilled_self", "self-distillation", ("traces_self", "distilled_self"), SELF_SWEEP, control=True),
    Road("opd_opd", "OPD twice", ("opd", "opd_opd"), control=True),
)
TITLES = {road.model: road.title for road in ROADS} | {
    road.merged: f"the merge after {road.title}" for road in ROADS if road.merged
}
TITLES |= {BASE: "the base generalist", SPECIALIST: "the specialist"}

CLAIMS = (
    StudyClaim("OPD instead of traces?", "opd", "distilled", "prompts and responses to each; who writes them"),
    StudyClaim("OPD after the SFT instead of alone?", "sft_opd", "opd", "the OPD; where it starts"),
    StudyClaim("... at equal compute?", "sft_opd", "opd_opd", "the last OPD; what comes before it"),
    StudyClaim("ExOPD instead of OPD?", "exopd", "opd", "all but reward_scale"),
    StudyClaim("The specialist's training alone?", "delta", "opd", "all but the target"),
    StudyClaim("RAST instead of OPD?", "base_large@rast", "opd", "the specialist; at decoding or trained"),
    StudyClaim("Traces of the specialist instead of one's own?", "distilled", "distilled_self",
               "prompts, selection, training; whose traces"),
    StudyClaim("OPD instead of self-distillation?", "opd", "distilled_self",
               "prompts and responses to each; a specialist or none"),
    StudyClaim("Traces, merged?", SPECIALIST_SWEEP, "distilled", "one of its two parts"),
    StudyClaim("OPD, merged?", "merge of opd", "opd", "one of its two parts"),
    StudyClaim("Both, merged?", "merge of sft_opd", "sft_opd", "one of its two parts"),
    StudyClaim("OPD merged instead of traces merged?", "merge of opd", SPECIALIST_SWEEP,
               "prompts, responses, alphas; the road before"),
)  # fmt: skip

TOURNAMENT = Design(
    title="The tournament: roads from a specialist into a generalist",
    recipe="The laptop's tournament (configs/laptop_tournament.yaml)",
    records="tournament",
    run="tournament",
    markdown="tournament.md",
    page="tournament.html",
    family="chain",
    specialist=(),
    generalist=CLAIMS,
    ladder=(),
    halves=("", ""),
    underlined=(),
)


def other_benchmarks(headline: Sequence[str]) -> list[str]:
    """Reported benchmarks of what the specialist is not trained for."""
    return [name for name in headline if name != TOURNAMENT.family]


def road_cost(record: Mapping[str, Any], road: Road) -> tuple[float, float] | None:
    """(tokens generated, floating point operations) of a road's stages; None where one of them has not run."""
    costs = record["costs"]["stages"]
    if any(stage not in costs for stage in road.stages):
        return None
    total = [sum(costs[stage][key] for stage in road.stages) for key in ("generated", "flops")]
    return total[0], total[1]
