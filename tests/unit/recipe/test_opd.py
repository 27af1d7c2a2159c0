"""OPD stages in a recipe: what they are like, what they may name, and that nothing changes without them."""

import pytest

from polaris.recipe import recipe
from polaris.stage.errors import UserError
from tests.helpers.opd import OVERLAY
from tests.helpers.recipes import LAPTOP


def loaded(tmp_path, more: str = "") -> recipe.Recipe:
    (tmp_path / "mine.yaml").write_text(OVERLAY + more)
    return recipe.load([tmp_path / "mine.yaml"])


def test_an_opd_stage_is_an_rl_stage_with_a_teacher(tmp_path):
    mine = loaded(tmp_path, "  sft: {like: opd, student: distilled, steps: 3}\n")
    grpo, opd, sft = mine.rl["grpo"], mine.opd["opd"], mine.opd["sft"]
    assert opd.learning_rate == grpo.learning_rate and opd.temperature == 1.0 and opd.prompts == "distill"
    assert (sft.student, sft.teacher, sft.steps) == ("distilled", "core_filtered", 3)
    assert list(mine.checkpoints)[-2:] == ["opd", "sft"] and mine.checkpoints["opd"] == "opd"
    assert [mine.source(name) for name in ("opd", "sft")] == ["base_small", "base_large"]
    assert "student" not in opd.training.model_dump()


STUDENTS = """  large: {like: opd, student: base_large}
  twice_large: {like: opd, student: alpha=0.50_large}
merge: {alphas: [0.0, 0.5, 1.0], after: [large, twice_large]}
"""


def test_a_stage_of_the_large_model_has_merges_of_its_own(tmp_path):
    mine = loaded(tmp_path, STUDENTS)
    merged = {
        "alpha=0.50": "merged",
        "alpha=0.50_large": "merged_large",
        "alpha=0.50_twice_large": "merged_twice_large",
    }
    assert {name: mine.checkpoints[name] for name in merged} == {
        name: f"{folder}/alpha=0.50" for name, folder in merged.items()
    }
    order = list(mine.checkpoints)
    assert order[order.index("opd") :] == ["opd", "large", "alpha=0.50_large", "twice_large", "alpha=0.50_twice_large"]
    assert mine.alphas_of("_large") == {"0.00": "large", "0.50": "alpha=0.50_large", "1.00": "base_large"}
    assert mine.alphas_of("_opd") == {} and mine.alphas == {
        "0.00": "distilled",
        "0.50": "alpha=0.50",
        "1.00": "base_large",
    }
    assert all(mine.source(name) == "base_large" for name in merged)


def test_without_it_nothing_changes():
    plain = recipe.load([LAPTOP])
    assert plain.opd == {} and "distillation" not in plain.rl["grpo"].model_dump_json()


def test_a_value_says_where_it_stands(tmp_path):
    (tmp_path / "mine.yaml").write_text(OVERLAY)
    origins = recipe.loaded([tmp_path / "mine.yaml"]).origins
    assert origins["opd", "opd", "teacher"].file == str(tmp_path / "mine.yaml")
    assert origins["opd", "opd", "distillation", "loss_mode"].file.endswith("presets/opd.yaml")
    assert origins["opd", "opd", "weight_decay"].file.endswith("presets/tiny.yaml")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("  x: {like: opd, student: nobody}", "opd.x.student: nobody is no model of this recipe; possible: base_small"),
        ("  x: {like: opd, student: y}\n  y: {like: opd}", "opd.x.student: y is a later stage"),
        ("  x: {like: opd, teacher: format_sft}", "format_sft is the student, too: there is nothing to learn"),
        ("  x: {like: opd, distillation: {delta: true}}", "teacher_base: null, but reward_scale and delta"),
        ("  x: {like: opd, teacher_base: base_small}", "teacher_base: must be null"),
        (
            "  x: {like: opd, teacher_base: core_filtered, distillation: {delta: true}}",
            "teacher_base: is the teacher itself",
        ),
        ("  traces: {like: opd}", "opd.traces: choose another name"),
        ("  core: {like: opd}", "opd.core: choose another name"),
        ("  x: {like: nothing}", "opd.x.like: nothing is no RL or OPD stage; possible: grpo core core_filtered opd"),
        ("  x: {like: opd, prompts: other}", "inputs.problems: must have exactly the keys"),
        ("  x: {like: opd, validate: {benchmark: no, k: 1, every: 1}}", "opd.x.validate.benchmark: "),
        ("  x: {like: opd, distillation: {loss_mode: k4}}", "opd.x.distillation.loss_mode: "),
        ("  self: {like: opd}", "opd.self: choose another name"),
        ("merge: {after: [x]}", "merge.after: x is no stage of opd; possible: opd"),
        ("merge: {after: [opd]}", "merge.after: opd is no student of base_large's shape"),
        ("  x: {like: opd, student: base_large}\nmerge: {after: [x, x]}", "merge.after: a stage is named twice"),
        (
            "  x: {like: opd, student: alpha=0.50_y}\n  y: {like: opd, student: base_large}\nmerge: {after: [y]}",
            "opd.x.student: alpha=0.50_y is a later stage",
        ),
    ],
)
def test_refused(tmp_path, more, message):
    with pytest.raises(UserError, match=message):
        loaded(tmp_path, more + "\n")
