"""What a recipe costs on a CPU: tokens that follow from its values, and what finished stages make of the hours."""

from dataclasses import replace
from pathlib import Path

import pytest

from polaris.planning import plan, plan_cpu
from polaris.planning.plan_cpu import CpuPlanner, Work, left
from polaris.recipe import recipe
from polaris.recipe.machine import needed_mb

ROOT = Path(__file__).resolve().parents[3]
LAPTOP = [ROOT / "configs/laptop.yaml"]
SPEED = 90e9


def planned(tmp_path, overrides=None, half=True, speed=SPEED) -> dict[str, Work]:
    made = recipe.load(LAPTOP, overrides or {})
    return {one.stage: one for one in CpuPlanner(made, tmp_path, speed, half).stages()}


def test_tokens_follow_from_the_recipe(tmp_path):
    stages = planned(tmp_path)
    # 1500 problems, 3 epochs, examples of 192 tokens at most; 384 problems with 8 rollouts of 96 at most.
    assert stages["format_sft"].tokens == pytest.approx((1500 * 3 * 192 * 0.4, 1500 * 3 * 192 * 0.7))
    assert stages["difficulty"].tokens == pytest.approx((384 * 8 * 24, 384 * 8 * 48))
    # 256 and 128 questions with 8 responses, 64 and 64 with 4.
    assert stages["responses/grpo"].tokens == pytest.approx((3584 * 24, 3584 * 48))
    made = recipe.load(LAPTOP)
    assert {"grpo", "core", "core_filtered", "core_filtered_rollouts", "traces", "distilled"} <= stages.keys()
    assert {name.removeprefix("responses/") for name in stages if "/" in name} == set(made.evaluations)


def test_twice_the_steps_and_half_the_speed_cost_more(tmp_path):
    one = planned(tmp_path)["grpo"]
    twice = planned(tmp_path, {"small_rl": {"rl": {"grpo": {"steps": 32}}}})["grpo"]
    assert twice.tokens == pytest.approx([2 * tokens for tokens in one.tokens])
    start = plan_cpu.STARTS["rl"]
    assert [t - s for t, s in zip(twice.seconds, start, strict=True)] == pytest.approx(
        [2 * (t - s) for t, s in zip(one.seconds, start, strict=True)]
    )
    slow = planned(tmp_path, speed=SPEED / 100)["grpo"]
    assert slow.seconds[0] > 3 * one.seconds[0]


def test_bfloat16_is_faster_where_the_processor_has_it(tmp_path):
    half = {"engines": {"laptop": {"dtype": "bfloat16"}}, "small_rl": {"rl": {"grpo": {"precision": "bf16"}}}}
    half["small_rl"]["rl"]["core_filtered"] = {"precision": "bf16"}
    with_it, without = (planned(tmp_path, half, has, speed=1e9)["difficulty"] for has in (True, False))
    assert with_it.seconds[1] < 0.75 * without.seconds[1] and with_it.tokens == without.tokens
    assert plan_cpu.has_half(tmp_path / "none") is False
    (tmp_path / "cpuinfo").write_text("flags : sse avx512_bf16 fma\n")
    assert plan_cpu.has_half(tmp_path / "cpuinfo") is True


def test_finished_stages_scale_what_is_left():
    waiting = Work("b", (1.0, 1.0), (100.0, 400.0), None)
    done = Work("a", (1.0, 1.0), (10.0, 40.0), 60.0)  # the middle of its plan is 20
    assert left([waiting]) == ((100.0, 400.0), None)
    assert left([done, waiting]) == (pytest.approx((300.0, 1200.0)), pytest.approx(3.0))
    assert left([done, replace(done, stage="b")]) == ((0.0, 0.0), pytest.approx(3.0))


def test_disk_is_the_weights_and_two_checkpoints(tmp_path):
    made = recipe.load(LAPTOP)
    planner = CpuPlanner(made, tmp_path, SPEED, half=False)
    small, large = (planner.shapes[name].parameters for name in ("base_small", "base_large"))
    others = len(made.checkpoints) - len(made.specialists)
    assert planner.disk() == 4 * (len(made.specialists) * small + others * large) + 32 * small
    assert 0 < others < len(made.checkpoints)


def test_stages_run_side_by_side_as_cores_and_memory_allow():
    """SmolLM2's RL takes 7.1 GB: with 8 GB one stage at a time."""
    machines = [(2, 4000), (2, 7800), (2, 15600), (1, 15600), (16, 64000)]
    assert [plan_cpu.beside(7079, cores, memory) for cores, memory in machines] == [1, 1, 2, 1, 2]
    assert plan_cpu.memory_line(7079, 7800) == "memory: a stage takes up to 7.4 GB of this machine's 8.2 GB"
    assert "8.2 GB" not in (said := plan_cpu.memory_line(7079, 4000)) and "may end it; take a smaller model" in said


def test_the_largest_stage_is_rl(tmp_path):
    planner = CpuPlanner(recipe.load(LAPTOP), tmp_path, SPEED, half=False)
    assert planner.memory() == needed_mb("rl", planner.shapes["base_small"].parameters) > needed_mb("megatron", 1e6)


@pytest.mark.parametrize(
    ("memory", "words"), [(7800, "on 2 cores as long, one stage at a time"), (64000, "side by side allow")]
)
def test_the_hours_are_those_of_this_machine(tmp_path, monkeypatch, memory, words):
    monkeypatch.setattr(plan_cpu, "memory_mb", lambda: memory)
    monkeypatch.setattr(plan_cpu.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(CpuPlanner, "memory", lambda self: 7079)
    said = plan_cpu.lines(recipe.load(LAPTOP), tmp_path)
    assert said[-1].endswith(words) and said[-2].startswith("memory: a stage takes up to 7.4 GB of this machine's")


@pytest.mark.slow
def test_the_speed_of_a_core_is_measured():
    first, second = plan_cpu.processor_speed(), plan_cpu.processor_speed()
    assert 1e9 < first < 1e12 and 0.3 < first / second < 3


def test_polaris_plan_prints_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plan.main(LAPTOP, None, None, None, False, False)
    said = capsys.readouterr().out
    assert "no GPU is planned for" in said and "minutes of a core" in said
    assert "GFLOP/s in float32" in said and "hours of one core; on " in said


def test_the_small_models_of_a_logit_shift_are_counted(tmp_path):
    shift = {"specialist": "core_filtered", "base": "base_small", "scale": 1.0}
    stages = planned(
        tmp_path, {"evaluate": {"extra_evaluations": {"rast": {"models": ["base_large"], "shift": shift}}}}
    )
    plain, shifted = (stages[f"responses/base_large{way}"] for way in ("", "@rast"))
    # Each token is read once more by each of two models, alone: at least the time beside the products.
    least = [2 * tokens * step for tokens, step in zip(shifted.tokens, plan_cpu.SHIFT_STEP, strict=True)]
    assert shifted.tokens == plain.tokens
    assert all(s - p > more for s, p, more in zip(shifted.seconds, plain.seconds, least, strict=True))
