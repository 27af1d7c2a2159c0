"""The study: a replicate's record from its run, and conclusions that need a control and several trainings."""

import json
from pathlib import Path

import pytest

from polaris.commands import study as command
from polaris.recipe import recipe
from polaris.report import study, study_page
from polaris.report.study_designs import DESIGNS, LAPTOP, SELF_SWEEP, SPARSE, SPECIALIST_SWEEP, StudyClaim
from polaris.stage import manifest
from polaris.stage.errors import UserError
from polaris.stage.records import RESPONSES, write_rows
from polaris.stage.stage import Stage
from tests.helpers.report_run import Nothing, Run

K = 8
SWEEP = {"0.00": "distilled", "0.50": "alpha=0.50", "1.00": "base_large"}


def record(replicate: int, **right: int | list[int]) -> dict:
    """A record: model -> right samples of K of each of eight questions, on `chain` and on the split that chooses."""
    names = {"chain": False, "apart": True}
    counts = {model: [n] * 8 if isinstance(n, int) else n for model, n in right.items()}
    return {
        "replicate": replicate,
        "commit": None,
        "seconds": 60,
        "missing": [],
        "benchmarks": {name: {"problems": 8, "k": K, "ids": "", "selects": apart} for name, apart in names.items()},
        "alphas": {SPECIALIST_SWEEP: SWEEP, SELF_SWEEP: {}},
        "models": {
            model: {
                "accuracy": {name: sum(right_P) / 8 / K for name in names},
                "correct": dict.fromkeys(names, right_P),
            }
            for model, right_P in counts.items()
        },
        "rl": {
            "core_filtered": {"entropy": [0.04] * 5 + [0.02 + 0.001 * replicate] * 5},
            "core_high": {"entropy": [0.04] * 9},
        },
        "underlined": {},
    }


CORE = StudyClaim("CORE instead of GRPO?", "core", "grpo", "all but the reward")


@pytest.mark.parametrize(
    ("core_N", "conclusion"),
    [
        ([5, 5, [5] * 7 + [6]], "higher"),  # +12.5, +12.5, +14.1 points
        ([1, 1, 1], "lower"),
        ([8, 5, 4], "higher in these trainings, not shown for others"),
        ([4, 4, 4], "no difference shown"),
        ([[8, 8, 2, 3, 3, 4, 4, 4]] * 3, "higher on these questions, not shown for others"),
        ([5], "none: one training"),
    ],
)
def test_conclusions(core_N, conclusion):
    records = [record(n, core=core, grpo=4) for n, core in enumerate(core_N)]
    (found,) = study.findings(records, [CORE], ["chain"], "chain")
    assert found.conclusion == conclusion


def test_without_its_control_there_is_no_conclusion():
    records = [record(n, core=8) for n in range(3)]
    (found,) = study.findings(records, [CORE], ["chain"], "chain")
    assert found.pooled is None and found.conclusion == "none: grpo not run"
    assert study_page.claim_rows(records, [found])[1][2:5] == ["missing"] * 3


def test_a_replicate_without_the_control_is_left_out_and_named():
    records = [record(0, core=6, grpo=4), record(1, core=8), record(2, core=6, grpo=4)]
    (found,) = study.findings(records, [CORE], ["chain"], "chain")
    assert found.pooled.each_N == (0.25, 0.25) and found.missing == {1: ["grpo"]}
    assert study_page.claim_rows(records, [found])[1][2:5] == ["+25.0", "missing", "+25.0"]


def test_alpha_is_chosen_on_the_split_and_only_from_a_whole_sweep():
    assert study.chosen(record(0, distilled=4, base_large=3), SPECIALIST_SWEEP) is None
    whole = record(0, **{"distilled": 4, "base_large": 3, "alpha=0.50": 4})
    assert study.chosen(whole, SPECIALIST_SWEEP) == "distilled"
    whole["models"]["alpha=0.50"]["accuracy"]["apart"] = 0.9
    whole["models"]["base_large"]["accuracy"]["chain"] = 1.0  # no reported benchmark counts
    assert study.chosen(whole, SPECIALIST_SWEEP) == "alpha=0.50"
    assert study.chosen(whole, SELF_SWEEP) is None


def test_counts_are_the_paired_difference():
    a = record(0, core=[8, 0, 4, 4, 1, 2, 3, 5], grpo=[4, 4, 4, 4, 4, 4, 4, 4])
    pooled = study.differences([a], ["core"], ["grpo"], ["chain"])
    assert pooled.mean.value == pytest.approx((27 - 32) / 64)
    assert study.correct_PG(a, "core", "chain").sum(axis=1).tolist() == [8, 0, 4, 4, 1, 2, 3, 5]


def test_entropy_needs_a_start_and_an_end():
    assert study.entropy_change(record(1), "core_filtered") == pytest.approx((0.04, 0.021))
    assert study.entropy_change(record(1), "core_high") is None


def test_the_page_says_what_is_missing():
    records = [record(0, core=6, grpo=4), record(1, core=6, grpo=5)]
    records[1]["missing"] = ["core_guarded"]
    for text in (study_page.markdown(LAPTOP, records, [2]), study_page.page(LAPTOP, records, [2])):
        assert "Replicate 2 was not run. Replicate 1 lacks core_guarded." in text
        assert "none: core_guarded not run" in text
        assert "no conclusion about their entropy" in " ".join(text.split())


def stored(run: Run, name: str, responses: list[tuple[str, str]]) -> None:
    """Responses of a model to chain: (problem, text)."""
    rows = [
        {"set": "chain", "problem_id": problem, "sample": place % 2, "seed": 0, "response": text, "tokens": 9,
         "finish_reason": "stop"}
        for place, (problem, text) in enumerate(responses)
    ]  # fmt: skip
    with Stage("polaris.stage.manifest", Nothing(), {}, run.folder / f"responses/{name}/data.json", "by hand") as stage:
        write_rows(stage.partial / "responses.parquet", rows, RESPONSES)
        stage.publish()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A replicate that has come as far as grpo and core."""
    monkeypatch.chdir(tmp_path)
    run = Run(Path("runs/study_1"))
    curve = [{"step": 1, "entropy": 0.5, "accuracy": 0.25, "response_steps": 2.5}]
    text = r"\underline{a=2}\underline{a=2}\underline{b=3}"
    for name, marks in (("grpo", "10"), ("core", "11")):
        run.model(name, name, curve=curve, steps=1)
        run.scores(name, {"chain": {"p0": marks, "p1": "00"}})
        stored(run, name, [("p0", text), ("p0", "?"), ("p1", text), ("p1", text)])
    return run


def test_underlined_results_of_right_and_wrong_responses(run: Run):
    read = [manifest.read(run.folder / part / "core/data.json") for part in ("responses", "scores")]
    assert command.underlined_record(*read) == {
        "chain": {
            "right": {"responses": 2, "spans": 1.5, "distinct": 1.0},
            "wrong": {"responses": 2, "spans": 3.0, "distinct": 2.0},
        }
    }


def test_the_command(run: Run, capsys: pytest.CaptureFixture[str]):
    command.main([1, 2], Path("study"))
    found = json.loads(Path("study/laptop_1.json").read_text())
    assert found["models"]["core"] == {"accuracy": {"chain": 0.5}, "correct": {"chain": [2, 0]}}
    assert found["benchmarks"]["chain"]["k"] == 2 and found["replicate"] == 1
    assert found["rl"]["grpo"] == {"steps": 1, "entropy": [0.5], "accuracy": [0.25], "response_steps": [2.5]}
    assert "base_small" in found["missing"] and "core" not in found["missing"]
    assert found["stages"]["core"]["content"] != found["stages"]["grpo"]["content"]
    assert "Replicate 2 was not run." in Path("study/README.md").read_text()
    assert "50.0 [" in Path("images/laptop.svg").read_text()
    assert "1 replicates, 1 missing" in capsys.readouterr().out
    other = found | {"replicate": 2, "benchmarks": {"chain": found["benchmarks"]["chain"] | {"ids": "others"}}}
    Path("study/laptop_2.json").write_text(json.dumps(other))
    with pytest.raises(UserError, match="they are no replicates"):
        command.main([1, 2], Path("study"))


def test_nothing_to_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run `make study`"):
        command.main([0], Path("docs/study"))


@pytest.mark.parametrize("of", DESIGNS, ids=lambda of: of.records)
def test_every_claim_is_about_models_of_its_recipe(of):
    made = recipe.load([command.FOLDER / name for name in command.CONFIGS[of]])
    known = {*made.checkpoints, SPECIALIST_SWEEP, SELF_SWEEP} if of.generalist else set(made.checkpoints)
    claims = [*of.specialist, *of.generalist]
    assert {name for one in claims for name in (one.a, one.control)} | {*of.halves, *of.underlined, *of.ladder} <= known
    assert of.family in made.inputs.benchmarks


def test_the_page_of_sparse_rewards_has_no_generalist():
    records = [
        record(n, core=6, grpo=4) | {"benchmarks": {"digits": {"problems": 8, "k": K, "selects": False}}}
        for n in (0, 1)
    ]
    for one in records:
        for model in one["models"].values():
            model |= {key: {"digits": model[key]["chain"]} for key in ("accuracy", "correct")}
    text = study_page.markdown(SPARSE, records, [])
    assert (
        "| CORE with sets of its own? | core − grpo | +25.0 | +25.0 |" in text
        and "none: core_placebo, core_teacher not run" in text
    )
    assert "Generalist" not in text and "## Alpha" not in text
