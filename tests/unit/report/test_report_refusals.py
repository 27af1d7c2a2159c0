"""Scores, checkpoints and settings that do not fit together are refused."""

from pathlib import Path

import pytest

from polaris.stage.errors import UserError
from tests.helpers.report_run import Run
from tests.helpers.reports import CHAIN, DIGITS, LADDER, ladder, make


def test_a_pass_at_k_above_the_samples_is_refused(tmp_path: Path):
    ladder(run := Run(tmp_path / "run"))
    message = r"report.pass_k: pass@3 needs as many samples of each problem; base_small has 2 on digits"
    with pytest.raises(UserError, match=message):
        make(run, generalists=[], alphas={}, pass_k=[2, 3])
    with pytest.raises(UserError, match="no scores on odd, on which alpha is selected"):
        make(run, generalists=[], alphas={}, select_on=["odd"])


WITH_GAP = {"p0": "1 00", "p1": "1100"}  # sample 1 of p0 is missing


@pytest.mark.parametrize(
    "scores, message",
    [
        ({"chain": {"p0": "100", "p1": "1100"}, "digits": DIGITS}, "chain: problem p0 has 3 samples, others have 4"),
        ({"chain": WITH_GAP, "digits": DIGITS}, "chain: problem p0 has 3 samples, others have 4"),
        ({"chain": {"p0": "1 00", "p1": "1 00"}, "digits": DIGITS}, "problem p0: its samples are not 0 to 2"),
        ({"chain": {"p0": "1000"}, "digits": DIGITS}, "chain: only 1 problem"),
        ({"chain": CHAIN | {"p2": "1111"}, "digits": DIGITS}, "scores of base_small: benchmark chain lacks problem p2"),
        (
            {"chain": {"p0": "1000", "p9": "1111"}, "digits": DIGITS},
            "scores of format_sft: benchmark chain lacks problem p1",
        ),
        ({"chain": CHAIN}, "scores of format_sft: benchmark digits is missing"),
        ({"chain": CHAIN, "digits": DIGITS, "odd": CHAIN}, "scores of base_small: benchmark odd is missing"),
        ({}, "no verdicts; grade the responses again"),
    ],
)
def test_incomplete_scores_are_refused(tmp_path: Path, scores: dict, message: str):
    run = Run(tmp_path / "run")
    for name, given in (("base_small", {"chain": CHAIN, "digits": DIGITS}), ("format_sft", scores)):
        run.model(name, name)
        run.scores(name, given)
    with pytest.raises(UserError, match=message):
        make(run, ladder=["base_small", "format_sft"], generalists=[], alphas={})
    assert not (run.folder / "report" / "data.json").exists()


def test_models_that_do_not_fit_the_settings_are_refused(tmp_path: Path):
    ladder(run := Run(tmp_path / "run"))
    few = {"generalists": [], "alphas": {}}
    with pytest.raises(UserError, match="no scores of core_filtered, named in"):
        make(run, ladder=[*LADDER, "core_filtered"], **few)
    with pytest.raises(UserError, match="core is in none of ladder"):
        make(run, ladder=LADDER[:3], **few)
    run.paths["checkpoints"] = run.paths["checkpoints"][1:]
    with pytest.raises(UserError, match="--checkpoints: no checkpoint of base_small"):
        make(run, ladder=LADDER, **few)


def test_a_broken_curve_names_its_line(tmp_path: Path):
    run = Run(tmp_path / "run")
    run.model("base_small", "a", [{"step": 1, "loss": 1.0}, {"loss": 2.0}])
    run.scores("base_small", {"chain": CHAIN})
    with pytest.raises(UserError, match=r"metrics.jsonl: line 2: not the metrics of a step"):
        make(run, ladder=["base_small"], generalists=[], alphas={})
