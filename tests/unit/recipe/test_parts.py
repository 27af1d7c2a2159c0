"""Recipes of a part alone, as docs/parts.md gives them, and what does not go together."""

import re

import pytest

from polaris.recipe import recipe
from polaris.stage.errors import UserError
from tests.helpers.recipes import ROOT, overlaid

BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/parts.md").read_text(), re.DOTALL)
EVALUATION, RL, DISTIL, MERGE = BLOCKS


def loaded(folder, text):
    (folder / "mine.yaml").write_text(text)
    return recipe.load([folder / "mine.yaml"])


def test_an_evaluation_alone(tmp_path):
    assert len(EVALUATION.splitlines()) <= 15
    alone = loaded(tmp_path, EVALUATION)
    assert alone.small_rl is None and alone.clean == {} and alone.inputs.problems == {}
    assert alone.checkpoints == {name: f"models/{name}" for name in ("mine", "other", "third")}
    assert alone.trained_on == alone.specialists == alone.generalists == [] and alone.arms == []


def test_rl_from_an_own_checkpoint(tmp_path):
    alone = loaded(tmp_path, RL)
    assert alone.trained_on == ["rl"] and alone.generalists == [] and alone.specialists[0] == "base_small"


def test_given_traces_and_no_specialist(tmp_path):
    alone = loaded(tmp_path, DISTIL)
    assert alone.arms == [""] and alone.traces == {} and list(alone.checkpoints) == ["base_large", "distilled"]
    assert alone.trained_on == ["distill"] and alone.alphas == {}


def test_a_merge_of_two_given_models(tmp_path):
    alone = loaded(tmp_path, MERGE)
    assert alone.alphas == {
        "0.00": "distilled",
        "0.25": "alpha=0.25",
        "0.50": "alpha=0.50",
        "0.75": "alpha=0.75",
        "1.00": "base_large",
    }
    assert alone.checkpoints["alpha=0.25"] == "merged/alpha=0.25"


def test_greedy_responses_are_one_of_each_problem(tmp_path):
    greedy = "  generate: {sampling: {temperature: 0}, k: {first: 1, second: 1}}\nreport: {pass_k: []}\n"
    head = EVALUATION.partition("  generate:")[0]
    assert loaded(tmp_path, head + greedy).evaluate.generate.sampling.temperature == 0
    with pytest.raises(UserError, match="k.first: must be 1 with sampling.temperature: 0"):
        loaded(tmp_path, head + greedy.replace("first: 1", "first: 2"))


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("small_rl: null\nlarge_sft: {traces: null}", "small_rl: null, but inputs.base_small is not; give both"),
        ("inputs: {base_small: null}", "inputs.base_small: null, but small_rl is not"),
        ("inputs: {base_large: null}", "inputs.base_large: null, but large_sft is not, which needs it"),
        ("inputs: {distilled: {path: there}}", "inputs.distilled: large_sft trains the generalist here"),
        ("large_sft: null\nmerge: null", "large_sft: null, but inputs.base_large is not; give inputs.distilled too"),
        ("small_rl: {specialist: null}", "small_rl.specialist: null, but large_sft.traces is not"),
        ("large_sft: {traces: null, self_distillation: true}", "large_sft.self_distillation: true needs large_sft.tra"),
        ("inputs: {models: {grpo: {path: there}}}", "inputs.models.grpo: a model of this recipe has that name"),
        ("inputs: {models: {.a: {path: there}}}", "models..a: a name has letters"),
    ],
)
def test_parts_that_do_not_go_together(tmp_path, overlay, message):
    with pytest.raises(UserError, match=message):
        overlaid(tmp_path, overlay)


def test_no_model_at_all(tmp_path):
    with pytest.raises(UserError, match="inputs.models: there is no model; name one"):
        loaded(
            tmp_path, EVALUATION.partition("  models:")[0] + "  benchmarks:" + EVALUATION.partition("benchmarks:")[2]
        )


def test_a_further_model_is_no_large_one(tmp_path):
    own = overlaid(
        tmp_path, "inputs: {models: {mine: {path: there}}}\nevaluate: {large_engine: {like: laptop, dtype: bfloat16}}"
    )
    assert own.evaluations["mine"][1].engine.dtype == "float32"
    assert own.evaluations["base_large"][1].engine.dtype == "bfloat16"


def test_a_specialist_that_is_trained_already_writes_the_traces(tmp_path):
    without = "inputs: {problems: {format: null, rl: null}}\nclean: {format: null, rl: null}\nsmall_rl: null\n"
    (tmp_path / "finished.yaml").write_text("extends: [laptop]\n" + without)
    found = recipe.load([tmp_path / "finished.yaml"])
    assert (found.specialist, found.specialists, found.arms) == ("base_small", ["base_small"], [""])
    assert found.traces == {"traces": recipe.Traces("", "base_small", ["distill"])}


DIGITS = """
inputs:
  models: {digits_specialist: {path: there}}
  problems: {digits_distill: {like: digits_train, count: 100, seed: 32}}
clean: {digits_distill: {like: distill}}
large_sft: {traces: {k: {digits_distill: 2}}, specialists: {digits_distill: digits_specialist}}
"""


def test_several_specialists_write_traces_each_to_its_own_prompts(tmp_path):
    own = "large_sft: {self_distillation: true}\n"
    (tmp_path / "own.yaml").write_text(own)
    (tmp_path / "mine.yaml").write_text(DIGITS)
    found = recipe.load([ROOT / "configs/laptop.yaml", tmp_path / "mine.yaml", tmp_path / "own.yaml"])
    assert found.traces == {
        "traces": recipe.Traces("", "core_filtered", ["distill"]),
        "traces@digits_specialist": recipe.Traces("", "digits_specialist", ["digits_distill"]),
        "traces_self": recipe.Traces("_self", "base_large", ["distill", "digits_distill"]),
    }
    assert found.large_sft.traces_to(["digits_distill"]).k == {"digits_distill": 2}
    assert found.trained_on == ["format", "rl", "distill", "digits_distill"]
    assert found.clean["digits_distill"] == found.clean["distill"]


def test_one_specialist_answers_the_prompts_of_several_sets(tmp_path):
    text = DIGITS.replace("specialists: {digits_distill: digits_specialist}", "specialists: {}")
    assert overlaid(tmp_path, text).traces == {
        "traces": recipe.Traces("", "core_filtered", ["distill", "digits_distill"])
    }


def test_given_specialists_alone(tmp_path):
    """No small model is trained here: two given ones teach."""
    none = "inputs: {base_small: null, problems: {format: null, rl: null}}\nclean: {format: null, rl: null}\n"
    (tmp_path / "mine.yaml").write_text(f"extends: [laptop]\nsmall_rl: null\n{none}")
    (tmp_path / "both.yaml").write_text(
        DIGITS.replace(
            "{digits_specialist: {path: there}}", "{digits_specialist: {path: a}, chains: {path: b}}"
        ).replace("specialists: {", "specialists: {distill: chains, ")
    )
    found = recipe.load([tmp_path / "mine.yaml", tmp_path / "both.yaml"])
    assert list(found.traces) == ["traces@chains", "traces@digits_specialist"] and found.specialist is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (": digits_specialist}", ": nobody}", "large_sft.specialists.digits_distill: nobody is no small model of this"),
        (
            ": digits_specialist}",
            ": base_large}",
            "digits_distill: base_large is no small model .* core_filtered digit",
        ),
        ("specialists: {digits", "specialists: {digit", "digit_distill: no prompts of that set are answered .*distill"),
        (
            "{like: distill}",
            "{like: digits}",
            "clean.digits_distill.like: digits is no section of clean; possible: for",
        ),
        ("clean:", "report:", "clean: must have exactly the keys format, rl, distill, digits_distill|report.digits_d"),
    ],
)
def test_specialists_that_do_not_fit_their_prompts(tmp_path, old, new, message):
    with pytest.raises(UserError, match=message):
        overlaid(tmp_path, DIGITS.replace(old, new))
