"""What `hardware` makes of an OPD stage."""

import pytest

from polaris.recipe import recipe
from polaris.stage.errors import UserError
from tests.helpers.recipes import ROOT

RECIPE = """extends: [{base}, presets/opd]
hardware: {hardware}
opd:
  opd:
    like: grpo
    student: {student}
    teacher: core_filtered
    prompts: rl
    validate: null
    distillation: {{engine: {{like: half, max_model_len: 66561}}{more}}}
"""


def opd(tmp_path, hardware: str, student: str = "base_small", more: str = ""):
    base = "polaris_v2" if student == "base_large" else "polaris_v2, presets/no_generalist"
    text = RECIPE.format(base=base, hardware=hardware, student=student, more=more)
    (tmp_path / "mine.yaml").write_text(text)
    return recipe.load([tmp_path / "mine.yaml"]).opd["opd"]


EIGHT = "{nodes: 4, gpus_per_node: 8, gpu: H200}"


def test_one_gpu_of_a_node_is_the_teachers(tmp_path):
    stage = opd(tmp_path, EIGHT)
    assert stage.teacher_gpus_per_node == 1 and stage.gpus_per_node + 1 <= 8
    assert stage.distillation.engine.replicas == stage.nodes
    assert stage.prompts_per_step * stage.group_size % (stage.nodes * stage.gpus_per_node) == 0


def test_nodes_of_its_own_are_filled(tmp_path):
    stage = opd(tmp_path, EIGHT, more=", nodes: 1")
    assert stage.gpus_per_node == 8 and stage.nodes <= 3 and stage.all_nodes <= 4
    assert stage.teacher_gpus == stage.teacher_gpus_per_node == 8


def test_what_does_not_fit_names_what_would(tmp_path):
    with pytest.raises(UserError, match=r"Qwen3-235B-A22B-Thinking-2507 \(opd.opd\) needs .* beside its teacher's; it"):
        opd(tmp_path, "{nodes: 8, gpus_per_node: 8, gpu: H200}", student="base_large", more=", nodes: 5")


def test_on_a_cpu_it_is_one_process(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "extends: [laptop, presets/opd]\nhardware: cpu\nopd: {opd: {like: grpo, student: base_small, "
        "teacher: core_filtered, distillation: {engine: laptop}}}\n"
    )
    stage = recipe.load([tmp_path / "mine.yaml"]).opd["opd"]
    assert (stage.nodes, stage.gpus_per_node, stage.teacher_gpus, stage.engine.device) == (1, 1, 1, "cpu")


def test_the_shipped_recipe_has_its_sizes_from_its_hardware():
    stage = recipe.load([ROOT / "configs/polaris_v2_opd.yaml"]).opd["opd"]
    assert (stage.nodes, stage.gpus_per_node, stage.engine.tensor_parallel_size) == (16, 8, 8)
    assert stage.teacher_gpus == 8 and stage.all_nodes == 17
