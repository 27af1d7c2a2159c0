"""The tournament's page on made-up records: shares, their intervals, and sentences that claim no more."""

import copy
import json
import math

import numpy as np
import pytest

from polaris.evaluation import replicates
from polaris.report import study
from polaris.report.study_designs import SELF_SWEEP, SPECIALIST_SWEEP, StudyClaim
from polaris.tournament import conclusions, page
from polaris.tournament.recovery import fieller, share
from polaris.tournament.roads import BASE, CLAIMS, ROADS, SPECIALIST, TITLES, TOURNAMENT, road_cost
from tests.helpers.recipes import ROOT

K, QUESTIONS = 4, 60
NAMES = {"chain": False, "digits": False, "apart": True}
ENDS = {SPECIALIST_SWEEP: "distilled", SELF_SWEEP: "distilled_self"} | {
    f"merge of {name}": name for name in ("opd", "sft_opd", "exopd", "delta")
}
SUFFIX = {"distilled": "", "distilled_self": "_self"}
STAGES = {stage for road in ROADS for stage in road.stages}


def counts(share_right: float) -> list[int]:
    """Right samples of each question, so that their mean is near this share and the questions differ."""
    return [min(K, math.floor(K * share_right + (7 * question % 10) / 10)) for question in range(QUESTIONS)]


def record(replicate: int, **chain: float) -> dict:
    """A record in which every model has half its answers right on every set, but for these on chain."""
    sweeps = {
        sweep: {"0.00": name, "0.50": f"alpha=0.50{SUFFIX.get(name, f'_{name}')}", "1.00": BASE}
        for sweep, name in ENDS.items()
    }
    models = {road.model for road in ROADS} | {model for sweep in sweeps.values() for model in sweep.values()}
    right = dict.fromkeys([*sorted(models), SPECIALIST], 0.5) | {
        name.replace("__rast", "@rast"): v for name, v in chain.items()
    }
    correct = {
        model: {"chain": counts(value), "digits": counts(0.5), "apart": counts(0.5)} for model, value in right.items()
    }
    return {
        "replicate": replicate,
        "commit": None,
        "seconds": 60,
        "missing": [],
        "benchmarks": {
            name: {"problems": QUESTIONS, "k": K, "ids": "", "selects": apart} for name, apart in NAMES.items()
        },
        "alphas": sweeps,
        "models": {
            model: {"accuracy": {name: sum(right_P) / QUESTIONS / K for name, right_P in sets.items()}, "correct": sets}
            for model, sets in correct.items()
        },
        "rl": {},
        "underlined": {},
        "costs": {
            "stages": {stage: {"responses": 100, "generated": 4000, "flops": 2e9} for stage in STAGES},
            "forward": {"small": 4e5, "large": 8e5},
        },
    }


@pytest.fixture(scope="module")
def three() -> list[dict]:
    """The specialist leads by about 20 points, OPD recovers most of it in each, the traces some in two of three."""
    return [
        record(
            n, grpo=[0.7, 0.72, 0.8][n], opd=[0.65, 0.64, 0.75][n], distilled=[0.6, 0.5, 0.6][n], base_large__rast=0.5
        )
        for n in range(3)
    ]


def test_every_claim_is_about_roads_and_their_merges():
    known = {road.model for road in ROADS} | {road.merged for road in ROADS if road.merged}
    assert {name for claim in CLAIMS for name in (claim.a, claim.control)} <= known <= set(TITLES)


def test_fieller_is_the_set_of_ratios_that_a_t_test_does_not_refuse():
    rng = np.random.default_rng(3)
    for _ in range(20):
        below = rng.normal(10, 1, 4).tolist()
        top = rng.normal(4, 1, 4).tolist()
        low, high = fieller(top, below, 0.95)
        for ratio, inside in [(low - 1e-6, False), (low + 1e-6, True), (high - 1e-6, True), (high + 1e-6, False)]:
            span = replicates.trainings_interval([a - ratio * b for a, b in zip(top, below, strict=True)], 0.95)
            assert (span[0] <= 0 <= span[1]) == inside


def test_a_ratio_whose_denominator_may_be_zero_has_no_interval():
    assert replicates.trainings_interval([5.0, 0.1, 9.0], 0.95)[0] < 0
    assert fieller([1.0, 2.0, 3.0], [5.0, 0.1, 9.0], 0.95) is None


def test_the_share_of_the_lead(three):
    models = {n: ("opd", BASE) for n in range(3)}
    found = share(three, models, "chain")
    of = lambda record, model: record["models"][model]["accuracy"]["chain"]
    gain, lead = (sum(of(r, model) - of(r, BASE) for r in three) for model in ("opd", SPECIALIST))
    assert found.value == pytest.approx(gain / lead) and 0 < found.these[0] < found.value < found.these[1]
    assert found.others[0] < found.value < found.others[1]
    assert share(three[:2], models, "chain").others is None
    (all_of_it,) = {share(three, {n: (SPECIALIST, BASE) for n in range(3)}, "chain").these}
    assert all_of_it == pytest.approx((1.0, 1.0))


def test_no_share_of_a_lead_that_is_not_shown(three):
    models = {n: ("opd", BASE) for n in range(3)}
    level = [record(n, grpo=0.5, opd=0.6) for n in range(3)]
    assert share(level, models, "chain") is None
    unsure = [record(n, grpo=[0.9, 0.5, 0.5][n], opd=0.6) for n in range(3)]
    assert share(unsure, models, "chain").others is None
    assert share([record(0)], {}, "chain") is None


@pytest.mark.parametrize(
    ("opd_N", "words"),
    [
        ([0.7, 0.7, 0.72], "OPD is higher than trace SFT: +"),
        ([0.3, 0.3, 0.32], "OPD is lower than trace SFT: −"),
        ([0.9, 0.6, 0.5], "may not be concluded: ["),
        ([0.5, 0.5, 0.5], "neither of OPD and trace SFT is shown to be better: 0.0 ["),
        ([0.7], "in one training; nothing about others."),
        ([0.7, 0.7], "in 2 trainings; nothing about others."),
    ],
)
def test_a_sentence_claims_no_more_than_its_intervals(opd_N, words):
    records = [record(n, opd=opd) for n, opd in enumerate(opd_N)]
    (one,) = study.findings(records, CLAIMS[:1], ["chain"], "chain")
    text = conclusions.sentence(one)
    assert text.startswith("On chain, ") and words in text and "[" in text
    assert (one.conclusion in ("higher", "lower")) == bool(conclusions.may([one])) != bool(conclusions.may_not([one]))


def test_a_road_that_was_not_run_has_a_sentence_that_says_so(three):
    lacking = copy.deepcopy(three)
    for one in lacking:
        del one["models"]["delta"], one["costs"]["stages"]["delta"]
        one["missing"] = ["delta"]
    claim = StudyClaim("", "delta", "opd", "")
    (found,) = study.findings(lacking, [claim], ["chain"], "chain")
    assert conclusions.sentence(found) == "On chain, nothing about RL-delta OPD against OPD: RL-delta OPD not run."
    assert page.cost_rows(lacking)[5][2:] == ["missing"] * 4 + ["–"]
    assert "lacks delta" in page.markdown(TOURNAMENT, lacking, [])


def test_costs_of_a_road_are_those_of_its_stages(three):
    roads = {road.model: road for road in ROADS}
    assert road_cost(three[0], roads["sft_opd"]) == (12000, 6e9)
    assert road_cost(three[0], roads["base_large@rast"]) == (0, 0)
    rows = {row[0]: row[2:] for row in page.cost_rows(three)}
    assert rows["OPD"] == ["4,000", "0.50", "2", "0.50", "1.00"]
    assert rows["RAST"] == ["0", "0.00", "0", "0.00", "2.00"]
    assert rows["OPD twice (control)"][:2] == ["8,000", "1.00"]
    (claim,) = [claim for claim in CLAIMS if claim.control == "opd_opd"]
    findings = study.findings(three, [claim], ["chain"], "chain")
    assert page.claim_rows(three, findings)[1][-1] == "×1.50; ×1.50"


def test_the_page_shows_each_gain_with_its_intervals_and_the_chosen_alpha(three):
    three = copy.deepcopy(three)
    three[0]["models"]["alpha=0.50_opd"]["accuracy"]["apart"] = 0.9
    text = page.markdown(TOURNAMENT, three, [])
    flat = " ".join(text.split())
    assert "On chain, OPD is higher than the base generalist: +" in flat.split("## What may not")[0]
    after = text.split("## After the merge: chain")[1].split("\n## ")[0]
    (merged,) = [line for line in after.splitlines() if line.startswith("| the merge after OPD |")]
    assert "(alpha 0.50)" in merged and merged.count("(alpha 0.00)") == 2
    assert "The specialist's lead on chain" in flat and "the median interval is" in flat
    rows = page.gain_rows(three, page.found(three, page.PLAIN, ["chain"]), shares=True)
    shares = {row[0]: row[6] for row in rows[1:]}
    assert "%" in shares["OPD"] and shares["OPD"].count("[") == 1


@pytest.mark.parametrize("number", [1, 2])
def test_fewer_than_three_replicates_conclude_nothing(three, number):
    text = page.markdown(TOURNAMENT, three[:number], list(range(number, 3)))
    flat = " ".join(text.split())
    assert "Replicate 2 was not run." in flat and "nothing on this page holds for others yet" in flat
    assert "## What may be concluded - Nothing." in flat
    assert "no difference shown" not in flat and "for others." not in flat


@pytest.mark.slow
def test_the_html_page_holds_the_same_sentences(three):
    html = page.page(TOURNAMENT, three, [])
    yes, no, _ = page.concluded(three)
    assert yes and no and all(one in html for one in yes + no)
    assert html.count("<svg") == 2 and "http" not in html.replace("http://www.w3.org", "")


FILES = [ROOT / f"docs/study/tournament_{number}.json" for number in range(3)]


@pytest.mark.skipif(not any(path.exists() for path in FILES), reason="no replicate of the tournament has a record")
@pytest.mark.slow
def test_the_page_in_the_docs_is_written_from_its_records():
    there = {n: json.loads(path.read_text()) for n, path in enumerate(FILES) if path.exists()}
    absent = [n for n in range(3) if n not in there]
    written = (ROOT / "docs/study" / TOURNAMENT.markdown).read_text()
    assert written == page.markdown(TOURNAMENT, list(there.values()), absent)
    assert (ROOT / "docs/study" / TOURNAMENT.page).read_text() == page.page(TOURNAMENT, list(there.values()), absent)
