"""What each stage needs, and the refusals of what cannot work."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from polaris.hardware.gpus import GPUS
from polaris.hardware.memory import cache
from polaris.hardware.shapes import KNOWN
from polaris.planning.plan import limits
from polaris.planning.plan_time import Decoding
from polaris.planning.planned_stages import Planner
from polaris.recipe import recipe
from polaris.stage.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
V2 = [ROOT / "configs/polaris_v2.yaml"]
SMALL, LARGE = (KNOWN[f"Qwen/Qwen3-{name}"] for name in ("4B-Thinking-2507", "235B-A22B-Thinking-2507"))
H100 = GPUS["H100-80GB"]


def test_the_published_cost_of_v2_lies_in_the_range_of_its_rl_stages(v2):
    """V2: 32 H800 for 10 days; RL is nearly all of it."""
    stages = [one for one in v2.stages() if one.name in v2.recipe.small_rl.rl]
    low, high = (sum(one.gpus * one.seconds[i] / 3600 for one in stages) for i in (0, 1))
    assert low < 32 * 240 < high


def test_a_layout_that_does_not_fit_is_refused_with_one_that_does(v2):
    layout = {"gpus_per_node": 8, "nodes": 8, "tensor": 2, "pipeline": 2, "expert": 8, "expert_tensor": 1, "context": 1,
              "virtual_pipeline": 1, "first_layers": None, "last_layers": None}  # fmt: skip
    sft = v2.recipe.large_sft.sft.model_copy(update={"layout": type(v2.recipe.large_sft.sft.layout)(**layout)})
    one = v2._sft("distilled", "traces", sft)
    assert "GiB per GPU, it has 79.6: weights" in one.wrong[0]
    assert one.notes[0].startswith("fits: 128 GPUs") or one.notes[0].startswith("fits: 64 GPUs")


def test_self_distillation_is_a_second_arm_of_the_plan(tmp_path):
    """The large model writes its own traces, with the engine of the recipe's, which is one for a small model."""
    (tmp_path / "mine.yaml").write_text("large_sft: {self_distillation: true}")
    asked = recipe.load([*V2, tmp_path / "mine.yaml"])
    stages = {one.name: one for one in Planner(asked, H100, tmp_path).stages()}
    for name in ("distilled", "merged"):
        one, other = stages[name], stages[f"{name}_self"]
        assert other == replace(one, name=other.name)
    traces, own = stages["traces"], stages["traces_self"]
    assert own.tokens == traces.tokens and own.flops > traces.flops and not traces.wrong
    assert "raise tensor_parallel_size" in own.wrong[0]
    assert stages["responses (large)"].jobs == 11 and limits(asked)["distilled_self"] == 86400


def test_an_engine_without_room_is_refused(v2):
    section, large = v2.recipe.evaluate.generate, v2.recipe.evaluate.large_engine
    wide = section.model_copy(update={"engine": large})
    one = v2._generate("responses (large)", "responses", LARGE, wide, 30)  # of a profile that gives each job one node
    assert one.wrong == ("engine: it takes 2 nodes, the profile reserves 1, no multiple of them",) and one.gpus == 16
    small = section.model_copy(
        update={"engine": large.model_copy(update={"tensor_parallel_size": 4, "pipeline_parallel_size": 1})}
    )
    one = v2._generate("responses (large)", "responses", LARGE, small, 30)
    assert "left for KV cache" in one.wrong[0] and "raise tensor_parallel_size" in one.wrong[0]


@pytest.mark.parametrize(
    ("change", "share"), [({"kv_cache_dtype": "fp8"}, 0.5), ({"pipeline_parallel_size": 2, "replicas": 1}, 0.5)]
)
def test_a_smaller_cache_leaves_room_for_more_responses(v2, change, share):
    """Half of its bytes a GPU with fp8, and with half of the layers there; both decode faster than before."""
    engine = v2.recipe.evaluate.large_engine.model_copy(update={"pipeline_parallel_size": 1, "nodes": 1})
    other = engine.model_copy(update=change)
    assert cache(LARGE, other) == share * cache(LARGE, engine)
    seconds = [Decoding(LARGE, H100, one, 1).seconds(1000, (20000, 40000), 81920) for one in (engine, other)]
    assert seconds[1][0] < seconds[0][0] and seconds[1][1] < seconds[0][1]


def test_measured_lengths_and_times_take_the_place_of_guesses(v2, tmp_path):
    guessed = v2._generate("difficulty", "difficulty", SMALL, v2.recipe.small_rl.difficulty, 1000)
    made = {"stage": "difficulty", "module": "m", "files": {}, "settings": {}, "inputs": {}, "code": "c", "tools": {},
            "steps": {}, "metrics": {"sets": {"rl": {"responses": 8, "mean_tokens": 100.0}}},
            "seconds": 7.0}  # fmt: skip
    (tmp_path / "difficulty").mkdir()
    (tmp_path / "difficulty/data.json").write_text(json.dumps(made))
    known = v2._generate("difficulty", "difficulty", SMALL, v2.recipe.small_rl.difficulty, 1000)
    assert known.tokens == (800_000, 800_000) and known.measured == 7.0 and guessed.tokens[0] > 1e8


def test_an_engine_and_an_actor_share_a_gpu(v2):
    """V2's stage on 32 GPUs, and on one node: 8 of them hold four times as much of the actor each."""
    stage = v2.recipe.small_rl.rl["grpo"]
    wide, node = (v2._rl("grpo", stage.model_copy(update={"nodes": nodes}), v2.small) for nodes in (4, 1))
    assert not wide.wrong and wide.parts["logits"] < 0.1 * 4.0 * stage.max_tokens_per_gpu * SMALL.vocabulary
    assert re.search(
        r"81\.\d GiB per GPU while the rollout engine is awake.*lower engine.gpu_memory_utilization", node.wrong[0]
    )
    lower = stage.model_copy(
        update={"nodes": 1, "engine": stage.engine.model_copy(update={"gpu_memory_utilization": 0.7})}
    )
    assert not v2._rl("grpo", lower, v2.small).wrong


def test_evaluations_during_rl_are_paid_for(v2):
    """V2's stage of 300 steps: 31 evaluations of 30 problems, 8 responses each; the update costs what it did."""
    stage = v2.recipe.small_rl.rl["grpo"]
    without, with_them = (
        v2._rl("grpo", stage.model_copy(update={"validation": asked}), v2.small) for asked in (None, stage.validation)
    )
    shortest = 0.25 * stage.max_response_length
    assert with_them.tokens[0] - without.tokens[0] == pytest.approx(31 * 30 * 8 * shortest)
    assert with_them.flops == without.flops and 1 < with_them.seconds[0] / without.seconds[0] < 1.1


def test_the_gate_holds_the_weights_and_its_reference_an_engine(v2):
    """transformers instead of vLLM: no second job, but the whole model in one host's memory."""
    stages = {one.name: one for one in v2.stages()}
    gate, training = stages["conversion"], stages["distilled"]
    assert gate.gpus == training.gpus and gate.parts["weights"] == training.parts["weights"] and not gate.wrong
    assert set(gate.parts) == {"weights", "other"} and gate.host == 0 and stages["conversion_reference"].gpus == 8
    large = v2.recipe.large_sft
    alone = large.model_copy(update={"gate": large.gate.model_copy(update={"vllm": None})})
    (one,) = v2._gate(alone)
    assert one.name == "conversion" and one.host == LARGE.weights


def test_searches_and_the_probe_are_planned(v2, tmp_path):
    """V1: 10 temperatures, 16 responses each; V2's probe: 100 problems, 32 responses."""
    v1 = Planner(recipe.load([ROOT / "configs/polaris_v1_4b.yaml"]), H100, tmp_path)
    first = next(one for one in v1.stages() if one.name == "temperature/first")
    search = v1.recipe.small_rl.temperature_search["first"]
    assert (
        first.stage == "temperature"
        and first.jobs == 10
        and first.tokens[0] == pytest.approx(10 * 30 * 16 * 0.25 * search.max_tokens)
    )
    probe = next(one for one in v2.stages() if one.name == "probe_rollouts")
    assert probe.jobs == 1 and probe.tokens[0] == pytest.approx(100 * 32 * 0.25 * 65536)


@pytest.mark.parametrize("nodes", [2, 8])
def test_generation_works_on_all_nodes_of_its_job(v2, tmp_path, nodes):
    """So many nodes take so much less time and as many GPU hours; a stage without an engine of its own is left
    alone.
    """
    several = Planner(v2.recipe, H100, tmp_path, lambda rule: nodes if rule == "difficulty" else 1)
    for one, spread in zip(v2.stages(), several.stages(), strict=True):
        if one.name == "difficulty":
            assert (spread.gpus, spread.tokens, spread.parts) == (nodes * one.gpus, one.tokens, one.parts)
            assert spread.seconds == pytest.approx([seconds / nodes for seconds in one.seconds], rel=0.01)
        else:
            assert spread == one
    few = v2._generate("few", "few", SMALL, v2.recipe.small_rl.difficulty, 1)
    spread = Planner(v2.recipe, H100, tmp_path, lambda rule: 8)._generate(
        "few", "few", SMALL, v2.recipe.small_rl.difficulty, 1
    )
    assert spread.seconds == pytest.approx(few.seconds), "no number of nodes makes the longest response faster"


def test_a_tiny_recipe_has_no_gpu_to_plan_for(tmp_path):
    with pytest.raises(UserError, match="base_small: a tiny model runs on a CPU"):
        Planner(recipe.load([ROOT / "configs/laptop.yaml"]), H100, tmp_path)


def test_the_small_models_of_a_logit_shift_are_beside_the_engine(tmp_path):
    """Their weights are read for every token, and both lie on each of its GPUs, with a cache for each response."""
    shift = "shift: {specialist: core_filtered, base: base_small, scale: 1.0}"
    entry = f"evaluate: {{extra_evaluations: {{rast: {{models: [base_large], {shift}%s}}}}}}\n"
    stages = {}
    for name, more in (("full", ""), ("few", ", engine: {like: node, max_num_seqs: 2}")):
        (tmp_path / "mine.yaml").write_text(entry % more)
        planner = Planner(recipe.load([*V2, tmp_path / "mine.yaml"]), H100, tmp_path)
        stages[name] = {one.name: one for one in planner.stages()}
    plain, shifted = (stages["full"][f"responses (large{way})"] for way in ("", "@rast"))
    both, engines = 2 * SMALL.weights, shifted.gpus // planner.recipe.evaluate.large_engine.gpus
    assert shifted.parts["KV cache"] == plain.parts["KV cache"]
    assert shifted.parts["other"] > plain.parts["other"] + both
    assert "shift: " in shifted.wrong[-1] and "lower engine.gpu_memory_utilization" in shifted.wrong[-1]
    once = shifted.tokens[0] / engines * both / H100.bandwidth
    assert shifted.seconds[0] - plain.seconds[0] == pytest.approx(once / 0.6)
    assert shifted.flops[0] > plain.flops[0] / plain.jobs
    few = stages["few"]["responses (large@rast)"]
    assert few.parts["other"] < shifted.parts["other"] and "caches of 2 responses at a time" in few.notes[-1]
