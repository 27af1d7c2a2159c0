"""An OPD stage in the plan: student, rollouts and teachers, and what has no room."""

import pytest

from polaris.hardware.gpus import GPUS
from polaris.planning.plan import limits
from polaris.planning.planned_stages import Planner
from polaris.recipe import recipe
from tests.helpers.recipes import ROOT

V2 = ROOT / "configs/polaris_v2.yaml"
SMALL = """extends: [polaris_v2, presets/opd]
opd:
  opd: {like: grpo, student: format_sft, teacher: core_filtered, gpus_per_node: 7, prompts_per_step: 56, validate: null,
        distillation: {engine: {like: half, max_model_len: 66561, replicas: 4}}}
"""


@pytest.fixture
def stages(tmp_path):
    def planned(more: str = "", base: str = SMALL):
        (tmp_path / "mine.yaml").write_text(base + more)
        asked = recipe.load([tmp_path / "mine.yaml"])
        assert limits(asked)["opd"] == 86400
        return {one.name: one for one in Planner(asked, GPUS["H100-80GB"], tmp_path).stages()}

    return planned


def test_the_teacher_takes_gpus_and_work_beside_the_student(stages):
    plain = stages()
    one, like = plain["opd"], plain["grpo"]
    assert one.rule == "opd" and one.gpus == 4 * 7 + 4 and not one.wrong
    assert one.parts["optimizer"] == pytest.approx(like.parts["optimizer"] * 32 / 28)  # of the student alone
    assert any("teacher (core_filtered) on 4 more GPUs: 7 GiB weights" in note for note in one.notes)
    assert one.flops[0] > like.flops[0] * 56 / 64 and one.seconds[1] > one.seconds[0]


def test_every_model_that_reads_is_planned(stages):
    more = "  delta: {like: opd, teacher_base: base_small, distillation: {delta: true}}\n"
    notes = " ".join(stages(more)["delta"].notes)
    assert all(f"{name} on 4 more GPUs" in notes for name in ("teacher (core_filtered)", "base (base_small)"))
    assert "start (format_sft)" in notes and stages(more)["delta"].gpus == 4 * 7 + 3 * 4


def test_a_teacher_without_room_is_refused(stages):
    more = "  large: {like: opd, teacher: base_large}\n"
    (wrong,) = stages(more)["large"].wrong
    assert wrong.startswith("distillation.engine (teacher): ") and "raise tensor_parallel_size" in wrong


def test_its_student_is_evaluated_as_what_it_was_trained_from(stages):
    more = "  sft: {like: opd, student: distilled, teacher: core_filtered}\n"
    before, after = stages(), stages(more)
    large, small = "responses (large)", "responses (small)"
    assert after[large].jobs == before[large].jobs + 1 and after[small].jobs == before[small].jobs
