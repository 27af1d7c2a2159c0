"""Which stage is another one's control, and what may be said with and without one."""

import dataclasses
import re
from pathlib import Path

import pytest

from polaris.evaluation import claims
from polaris.evaluation.claims import (
    FILTER,
    HALF,
    MERGE,
    PROCESS_REWARD,
    RESCUE,
    TRAINING,
    TRANSFER,
    Claim,
    TrainedStage,
)
from polaris.report.markdown import markdown
from tests.helpers.report_run import Run
from tests.helpers.reports import Page, make

CORE = {"reward": "core", "core": {"cap": 0.5, "consensus": "rl_data"}}
MEDIAN = {"keep": "median", "within": "all", "rollouts": {"k": 16}}


def stage(name: str, start: str, overlap: dict | None = None, problems: str = "p", **settings: object) -> TrainedStage:
    given = {
        "reward": "outcome",
        "core": None,
        "rescue": False,
        "steps": 24,
        "seed": 1,
        "validate": None,
        "timeout": 3600.0,
        "save_every": 10,
    }
    return TrainedStage(name, start, given | settings, problems, overlap)


GRPO, WITH_CORE = stage("grpo", "sft"), stage("core", "sft", **CORE)
FILTERED = stage("filtered", "core", MEDIAN, steps=20, **CORE)
ALL = stage("all", "core", steps=20, **CORE)
HIGH = stage("high", "core", MEDIAN | {"keep": "lower_half"}, steps=20, **CORE)


def control(of: TrainedStage, method: str, *others: TrainedStage) -> str | None:
    found = claims.control(of, method, {one.name: one for one in (of, *others)})
    return found and found.name


@pytest.mark.parametrize(
    ("of", "method", "others", "found"),
    [
        (WITH_CORE, PROCESS_REWARD, [GRPO], "grpo"),
        (GRPO, PROCESS_REWARD, [WITH_CORE], None),  # it has no process reward
        (WITH_CORE, PROCESS_REWARD, [stage("grpo", "sft", steps=23)], None),
        (WITH_CORE, PROCESS_REWARD, [stage("grpo", "sft", seed=2)], None),
        (WITH_CORE, PROCESS_REWARD, [stage("grpo", "base")], None),
        (WITH_CORE, PROCESS_REWARD, [stage("grpo", "sft", problems="others")], None),
        (WITH_CORE, PROCESS_REWARD, [stage("grpo", "sft", MEDIAN)], None),
        (WITH_CORE, PROCESS_REWARD, [stage("other", "sft", **CORE | {"core": {"cap": 1.0}})], None),
        # Evaluations beside the training, checkpoints, and who looks at it change nothing of it.
        (WITH_CORE, PROCESS_REWARD, [stage("grpo", "sft", validate={"k": 8}, timeout=60.0, save_every=1)], "grpo"),
        (WITH_CORE, PROCESS_REWARD, [stage("grpo", "sft", rollout_store=8, alarm={}, loggers=["wandb"])], "grpo"),
        (FILTERED, FILTER, [WITH_CORE, ALL, HIGH], "all"),
        (FILTERED, FILTER, [WITH_CORE, HIGH], None),  # core: not the same start, nor as many steps
        (FILTERED, FILTER, [stage("all", "core", steps=20)], None),  # another reward, too
        (FILTERED, HALF, [WITH_CORE, ALL, HIGH], "high"),
        (FILTERED, HALF, [stage("high", "core", HIGH.overlap | {"within": "accuracy"}, steps=20, **CORE)], None),
        (HIGH, HALF, [FILTERED], None),  # the other half is a control itself
        (HIGH, FILTER, [ALL], None),
        (stage("rescued", "sft", rescue="teacher"), RESCUE, [WITH_CORE, GRPO], "grpo"),
        (stage("rescued", "sft", rescue="own"), RESCUE, [stage("taught", "sft", rescue="teacher")], None),
        (GRPO, RESCUE, [stage("rescued", "sft", rescue="own")], None),
    ],
)  # fmt: skip
def test_a_control_is_the_same_training_without_the_method(of, method, others, found):
    assert control(of, method, *others) == found


def test_a_chain_is_controlled_by_the_whole_chain_without_the_method():
    two, whole = stage("two", "core", steps=20, **CORE), stage("grpo_grpo", "grpo", steps=20)
    assert control(two, PROCESS_REWARD, GRPO, WITH_CORE, whole) == "grpo_grpo"
    assert control(two, PROCESS_REWARD, WITH_CORE, whole) is None  # grpo is unknown: nothing says what it is
    other = dataclasses.replace(GRPO, settings={**GRPO.settings, "seed": 5})
    assert control(two, PROCESS_REWARD, other, WITH_CORE, whole) is None
    # The second stage alone without the method says more about the second stage.
    assert control(two, PROCESS_REWARD, GRPO, WITH_CORE, whole, stage("then_grpo", "core", steps=20)) == "then_grpo"


def test_the_names_do_not_matter():
    assert control(WITH_CORE, PROCESS_REWARD, stage("core_filtered", "sft")) == "core_filtered"


def test_claims_of_the_rl_stages():
    found = claims.rl_claims([GRPO, WITH_CORE, FILTERED])
    assert [(one.about, one.a, one.b) for one in found] == [
        (TRAINING, "grpo", "sft"), (TRAINING, "core", "sft"), (TRAINING, "filtered", "core"),
        (PROCESS_REWARD, "core", "grpo"), (PROCESS_REWARD, "filtered", None), (FILTER, "filtered", None),
        (HALF, "filtered", None),
    ]  # fmt: skip
    explanation = {(one.about, one.a): one.explanation for one in found}
    assert explanation[PROCESS_REWARD, "core"] == "24 steps from sft, too, rewarded by the outcome alone"
    assert explanation[FILTER, "filtered"] == "no control was run (20 steps from core on all problems)"
    assert claims.rl_claims([]) == []


ENDS, OWN_ENDS = ["base", "distilled"], ["base", "distilled_self"]


@pytest.mark.parametrize(
    ("chosen", "on_reported", "own", "found", "explanation"),
    [
        ("a=0.5", False, "b=0.7", [("a=0.5", "base"), ("a=0.5", "distilled"), ("a=0.5", "b=0.7")],
         "the merge of the same"),
        ("a=0.5", False, "distilled_self", [("a=0.5", "base"), ("a=0.5", "distilled"), ("a=0.5", "distilled_self")],
         "the same distillation of its own traces"),
        ("a=0.5", False, None, [("a=0.5", "base"), ("a=0.5", "distilled"), ("a=0.5", None)], "no control was run"),
        ("distilled", False, "b=0.7", [("distilled", None), ("distilled", "b=0.7")], "the merge of the same"),
        ("base", False, "base", [("base", None), ("base", None)], "took base in both arms"),
        ("a=0.5", True, "b=0.7", [("a=0.5", None), ("a=0.5", None)], "chosen on reported questions"),
        (None, False, None, [("merged", None), ("merged", None)], "no alpha was chosen; questions kept apart"),
    ],
)  # fmt: skip
def test_claims_of_the_merge(chosen, on_reported, own, found, explanation):
    made = claims.merge_claims(ENDS, chosen, on_reported, OWN_ENDS, own)
    assert [(one.a, one.b) for one in made] == found
    assert [one.about for one in made] == [MERGE] * (len(found) - 1) + [TRANSFER]
    assert explanation in made[-1].explanation


def test_a_run_without_a_generalist_claims_nothing_of_it():
    assert claims.merge_claims([], None, False, [], None) == []


def test_no_conclusion_without_a_control():
    one = Claim(FILTER, "filtered", "all", "")
    shown = {"digits": "no difference shown", "chain": "higher", "mean": "higher"}
    assert claims.conclusion(one, shown) == "higher on chain and mean; no difference shown on digits"
    assert claims.conclusion(one, {"chain": "lower"}) == "lower"
    assert claims.conclusion(dataclasses.replace(one, b=None), shown) == "no conclusion"


def test_the_report_finds_the_controls_in_the_manifests(tmp_path: Path):
    """grpo is core's control; core_filtered has none, as the stage on all problems has another seed."""
    run = Run(tmp_path / "run")
    run.model("sft", "a")
    run.table("rl_data", "problems")
    given = {"steps": 24, "seed": 1, "rescue": False, "validate": None, "timeout": 1.0, "save_every": 5}
    run.rl("grpo", "sft", "rl_data", reward="outcome", core=None, **given)
    run.rl("core", "sft", "rl_data", **CORE, **given)
    run.table("rollouts", "responses", k=16)
    for keep in ("median", "lower_half"):
        inputs = {"problems": "rl_data", "responses": "rollouts"}
        run.table(f"{keep}_data", keep, "small_rl.data.filter_overlap", inputs, keep=keep, within="all")
    run.rl("core_filtered", "core", "median_data", **CORE, **given)
    run.rl("high", "core", "lower_half_data", **CORE, **given)
    run.rl("all", "core", "rl_data", **CORE, **given | {"seed": 2})
    ladder = ["sft", "grpo", "core", "core_filtered", "high", "all"]
    for name in ladder:
        right = "1111" if name == "core_filtered" else "1000"
        run.scores(name, {"chain": {f"p{i}": right for i in range(30)}, "digits": {"d0": "10", "d1": "01"}})
    found = make(run, ladder=ladder, generalists=[], alphas={})
    controls = {(one["about"], one["a"]): one["b"] for one in found["claims"] if one["about"] != TRAINING}
    assert controls == {
        (PROCESS_REWARD, "core"): "grpo", (PROCESS_REWARD, "core_filtered"): None, (PROCESS_REWARD, "high"): None,
        (PROCESS_REWARD, "all"): None, (FILTER, "core_filtered"): None, (HALF, "core_filtered"): "high",
    }  # fmt: skip
    (half,) = (one for one in found["claims"] if one["about"] == HALF)
    row = half["differences"]["chain"]
    assert row["difference"] == 0.75 and row["p"] < 0.01 <= row["p_holm"] < 0.05  # of 7 comparisons
    assert half["differences"]["digits"]["difference"] == 0
    text = " ".join(Page((run.folder / "report" / "index.html").read_text()).text.split())
    assert "Claims and their controls" in text
    assert "higher on chain and mean; no difference shown on digits" in text
    assert re.search(r"none ?no control was run \(24 steps from core on all problems\) ?no conclusion", text)
    assert (
        "| overlap filter | core_filtered | none | no control was run (24 steps from core on all problems) | – | – | "
        "no conclusion |"
    ) \
        in markdown(found)  # fmt: skip
