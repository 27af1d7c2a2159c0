"""The plan against what others have published and run, and its refusals."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from large_sft.model.qwen3 import read_config
from polaris.planning import plan, planned_stages
from polaris.planning.plan_memory import GIB, Ranks, cache, fsdp, layouts, megatron, megatron_stages, total, vllm
from polaris.planning.plan_model import KNOWN, Shape, from_config
from polaris.planning.plan_profile import Profile
from polaris.planning.plan_time import GPUS, Decoding, mixture_efficiency
from polaris.recipe import recipe
from polaris.stage.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
SMALL, MIDDLE, LARGE = (
    KNOWN[f"Qwen/Qwen3-{name}"] for name in ("4B-Thinking-2507", "30B-A3B", "235B-A22B-Thinking-2507")
)
V2 = [ROOT / "configs/polaris_v2.yaml"]
H100, H20, A100 = (GPUS[name] for name in ("H100-80GB", "H20", "A100-80GB"))


def config(shape: Shape) -> dict:
    """A config.json of that shape."""
    mixture = {"num_experts": shape.experts, "num_experts_per_tok": shape.experts_per_token,
               "moe_intermediate_size": shape.moe_intermediate_size, "model_type": "qwen3_moe"}  # fmt: skip
    return {
        "model_type": "qwen3", "vocab_size": shape.vocabulary, "hidden_size": shape.hidden, "hidden_act": "silu",
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim, "intermediate_size": shape.intermediate_size, "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "max_position_embeddings": 4096, "tie_word_embeddings": shape.tied, **(mixture if shape.experts else {}),
    }  # fmt: skip


TINY = Shape(320, 96, 2, 4, 2, 32, 256, 192, 4, 2, True)


@pytest.mark.parametrize("shape", [SMALL, MIDDLE, LARGE, TINY], ids=["4B", "30B", "235B", "tiny"])
def test_parameters_are_those_of_the_tensors(shape):
    model = read_config(config(shape), "here")
    sizes = (one[0] * (one[1] if len(one) == 2 else 1) for one in model.parameters().values())
    assert sum(sizes) == shape.parameters and from_config(config(shape), "here") == shape


def test_the_published_counts():
    assert LARGE.parameters / 1e9 == pytest.approx(235.1, abs=0.1) and MIDDLE.parameters / 1e9 == pytest.approx(
        30.5, abs=0.1
    )
    assert KNOWN["openai/gpt-oss-20b"].parameters / 1e9 == pytest.approx(20.9, abs=0.1)
    assert KNOWN["openai/gpt-oss-20b"].active / 1e9 == pytest.approx(3.6, abs=0.1)


def test_training_flops_are_nvidias():
    """253 TFLOP/s at 1712 tokens/s per GPU, 4096 tokens (Megatron-Bridge performance summary 26.04)."""
    assert 3 * LARGE.forward_flops(4096) == pytest.approx(253e12 / 1712, rel=0.01)


def test_the_published_peak():
    """ms-swift's example: Qwen3-30B-A3B, 8192 tokens, 16 x A800, TP2 EP8, full recompute: 60 GiB."""
    assert total(megatron(MIDDLE, Ranks(16, 2, 1, 8, 1, 1), 8192, "full")) / GIB == pytest.approx(60, rel=0.1)


@pytest.mark.parametrize(
    ("gpus", "offload", "fits"),
    [(32, 0.0, False), (32, 1.0, True), (64, 0.5, True), (128, 0.0, True)],
)
def test_verls_layouts_of_235b(gpus, offload, fits):
    """verl docs/perf/dpsk.md: TP4 PP8 EP4 on H20-96GB, with the share of the optimizer that must be on the host."""
    need = total(megatron(LARGE, Ranks(gpus, 4, 8, 4, 1, 1), 8192, "full", offload=offload))
    assert (need <= H20.memory) == fits


def test_megatron_bridges_layout_of_235b():
    """qwen3_235b_a22b_sft_64gpu_h100_bf16_config: TP4 PP16 EP4, 2048 tokens, no recomputation, on 64 H100."""
    published = Ranks(64, 4, 16, 4, 1, 1)
    assert total(megatron(LARGE, published, 2048, "none")) <= H100.memory
    assert total(megatron(LARGE, published, 32768, "none")) > H100.memory
    assert published in list(layouts(LARGE, 64))


def test_chunks_of_the_loss_and_uneven_stages():
    """The layouts' keys in the figure: a chunk's logits instead of a pack's, and the layers that a stage really has."""
    ranks = Ranks(128, 4, 2, 64, 1, 1)
    whole, chunked = (
        megatron(LARGE, ranks, 32768, "full", loss_chunk=chunk, layers=[10, 84]) for chunk in (None, 4096)
    )
    assert whole["logits"] == 8 * chunked["logits"] > 0 and whole["weights"] == chunked["weights"]
    even = megatron(LARGE, ranks, 32768, "full")
    assert whole["weights"] > 1.7 * even["weights"]


def test_ms_swifts_sixty_four_gpus():
    """Its 235B example: full training "needs 64 x 80 GiB": some layout fits there, none on 32."""
    need = {gpus: min(total(megatron(LARGE, r, 2048, "full")) for r in layouts(LARGE, gpus)) for gpus in (32, 64)}
    assert need[64] <= A100.memory < need[32]


def test_deepspeed_beside_it():
    """The same table: ZeRO3 runs 30B on 16 x 80 GiB; ZeRO2, whose weights are not divided, does not."""
    assert total(fsdp(MIDDLE, 16, 8192)) <= A100.memory
    assert (2 + (2 + 12) / 16) * MIDDLE.parameters > A100.memory


def test_pipeline_stages_hold_every_layer():
    for pipeline in (2, 4, 8, 16, 32):
        stages = megatron_stages(LARGE, Ranks(64, 1, pipeline, 1, 1, 1))
        assert len(stages) == pipeline and sum(stages) == LARGE.layers and min(stages) > 0


def test_kv_heads_are_copied_when_there_are_fewer_than_gpus():
    assert LARGE.cache(8) == LARGE.cache(4) == LARGE.cache(1) / 4
    assert vllm(LARGE, 4, H100.memory, 0.9)["KV cache"] < 0 < vllm(LARGE, 8, H100.memory, 0.9)["KV cache"]


@pytest.fixture
def v2(tmp_path) -> planned_stages.Planner:
    return planned_stages.Planner(recipe.load(V2), H100, tmp_path)


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
    stages = {one.name: one for one in planned_stages.Planner(asked, H100, tmp_path).stages()}
    for name in ("distilled", "merged"):
        one, other = stages[name], stages[f"{name}_self"]
        assert other == planned_stages.replace(one, name=other.name)
    traces, own = stages["traces"], stages["traces_self"]
    assert own.tokens == traces.tokens and own.flops > traces.flops and not traces.wrong
    assert "raise tensor_parallel_size" in own.wrong[0]
    assert stages["responses (large)"].jobs == 11 and plan.limits(asked)["distilled_self"] == 86400


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
    wide, node = (v2._rl("grpo", stage.model_copy(update={"nodes": nodes})) for nodes in (4, 1))
    assert not wide.wrong and wide.parts["logits"] < 0.1 * 4.0 * stage.max_tokens_per_gpu * SMALL.vocabulary
    assert re.search(
        r"81\.\d GiB per GPU while the rollout engine is awake.*lower engine.gpu_memory_utilization", node.wrong[0]
    )
    lower = stage.model_copy(
        update={"nodes": 1, "engine": stage.engine.model_copy(update={"gpu_memory_utilization": 0.7})}
    )
    assert not v2._rl("grpo", lower).wrong


@pytest.mark.parametrize(
    ("expert_ranks", "stages", "packs", "efficiency"),
    [
        (8, 1, 16, (0.15, 0.26)),
        (64, 1, 16, (0.075, 0.13)),
        (8, 8, 16, (0.15 * 16 / 23, 0.26 * 16 / 23)),
    ],
)
def test_a_mixtures_share_of_the_peak(expert_ranks, stages, packs, efficiency):
    """Experts beyond a node of 8 GPUs cross the network; a pipeline of 8 waits 7 of 23 times."""
    assert mixture_efficiency(expert_ranks, 8, stages, packs) == pytest.approx(efficiency)


def test_evaluations_during_rl_are_paid_for(v2):
    """V2's stage of 300 steps: 31 evaluations of 30 problems, 8 responses each; the update costs what it did."""
    stage = v2.recipe.small_rl.rl["grpo"]
    without, with_them = (
        v2._rl("grpo", stage.model_copy(update={"validation": asked})) for asked in (None, stage.validation)
    )
    shortest = 0.25 * stage.max_response_length
    assert with_them.tokens[0] - without.tokens[0] == pytest.approx(31 * 30 * 8 * shortest)
    assert with_them.flops == without.flops and 1 < with_them.seconds[0] / without.seconds[0] < 1.1


def test_the_profile_is_held_against_the_plan(v2):
    profile = Profile(ROOT / "cluster/config.yaml")
    assert profile.reserved("rl").gpus == 32 and profile.reserved("traces").gpus == 8
    assert profile.reserved("distilled").nodes == 16 and profile.reserved("rl_data").gpus == 0
    (grpo,) = (one for one in v2.stages() if one.name == "grpo")
    wide = plan.scheduled(planned_stages.replace(grpo, gpus=64), profile, {})
    assert "works on 64 GPUs, the profile reserves 32" in wide.wrong
    assert profile.reserved("rl").cpus == 64 and not plan.scheduled(grpo, profile, {}).wrong
    short = plan.scheduled(grpo, profile, {"grpo": 3600.0})
    assert any("the limit of 1 h; the profile tries 4 times" in reason for reason in short.wrong)


def test_an_expression_of_a_profile_is_refused(tmp_path):
    """Snakemake evaluates it for each job (docs/cluster.md)."""
    (tmp_path / "config.yaml").write_text("""set-resources: {rl: {nodes: "8 if wildcards.stage == 'mine' else 4"}}""")
    profile = Profile(tmp_path / "config.yaml")
    assert profile.reserved("traces").nodes == 1
    with pytest.raises(UserError, match="config.yaml: nodes of rl is no number .*plan with a profile that has numbers"):
        profile.reserved("rl")


@pytest.mark.parametrize(
    ("asked", "refused"),
    [({}, True), ({"cpus_per_task": 7}, True), ({"cpus_per_task": 8}, False), ({"cpus_per_task": -1}, False)],
)
def test_a_node_of_gpus_with_a_laptops_processors_is_refused(v2, tmp_path, asked, refused):
    """Slurm would give a job of eight GPUs the rule's one thread."""
    values = yaml.safe_load((ROOT / "cluster/config.yaml").read_text())
    del values["set-resources"]["rl"]["cpus_per_task"]
    values["set-resources"]["rl"] |= asked
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    (grpo,) = (one for one in v2.stages() if one.name == "grpo")
    found = plan.scheduled(grpo, Profile(tmp_path / "config.yaml"), {}).wrong
    assert [reason for reason in found if "processors beside 8 GPUs on a node; set cpus_per_task" in reason] == list(
        found
    )
    assert bool(found) is refused


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
    v1 = planned_stages.Planner(recipe.load([ROOT / "configs/polaris_v1_4b.yaml"]), H100, tmp_path)
    first = next(one for one in v1.stages() if one.name == "temperature/first")
    search = v1.recipe.small_rl.temperature_search["first"]
    assert (
        first.stage == "temperature"
        and first.jobs == 10
        and first.tokens[0] == pytest.approx(10 * 30 * 16 * 0.25 * search.max_tokens)
    )
    probe = next(one for one in v2.stages() if one.name == "probe_rollouts")
    assert probe.jobs == 1 and probe.tokens[0] == pytest.approx(100 * 32 * 0.25 * 65536)


def test_every_planned_stage_gets_its_gpus(v2, tmp_path):
    """A rule that cluster/config.yaml forgets would wait for a GPU on a node without one."""
    profile = Profile(ROOT / "cluster/config.yaml")
    v1 = [
        planned_stages.Planner(recipe.load([ROOT / f"configs/polaris_v1_{size}.yaml"]), H100, tmp_path)
        for size in ("4b", "7b")
    ]
    for planner in (v2, *v1):
        assert not [one.name for one in planner.stages() if profile.reserved(one.rule).gpus < one.gpus]


@pytest.mark.parametrize("nodes", [2, 8])
def test_generation_works_on_all_nodes_of_its_job(v2, tmp_path, nodes):
    """So many nodes take so much less time and as many GPU hours; a stage without an engine of its own is left
    alone.
    """
    several = planned_stages.Planner(v2.recipe, H100, tmp_path, lambda rule: nodes if rule == "difficulty" else 1)
    for one, spread in zip(v2.stages(), several.stages(), strict=True):
        if one.name == "difficulty":
            assert (spread.gpus, spread.tokens, spread.parts) == (nodes * one.gpus, one.tokens, one.parts)
            assert spread.seconds == pytest.approx([seconds / nodes for seconds in one.seconds], rel=0.01)
        else:
            assert spread == one
    few = v2._generate("few", "few", SMALL, v2.recipe.small_rl.difficulty, 1)
    spread = planned_stages.Planner(v2.recipe, H100, tmp_path, lambda rule: 8)._generate(
        "few", "few", SMALL, v2.recipe.small_rl.difficulty, 1
    )
    assert spread.seconds == pytest.approx(few.seconds), "no number of nodes makes the longest response faster"


def test_the_guide_shows_what_the_command_prints(v2):
    profile = Profile(ROOT / "cluster/config.yaml")
    planner = planned_stages.Planner(v2.recipe, H100, v2.run, lambda rule: profile.reserved(rule).nodes)
    planned = [plan.scheduled(one, profile, plan.limits(v2.recipe)) for one in planner.stages()]
    printed = "\n".join(
        ["$ polaris plan --configfile configs/polaris_v2.yaml --price 2.5", *plan.lines(planned, profile, H100, 2.5)]
    )
    assert printed in (ROOT / "docs/cluster.md").read_text(), "write what the command prints into docs/cluster.md"


def test_a_tiny_recipe_has_no_gpu_to_plan_for(tmp_path):
    with pytest.raises(UserError, match="base_small: a tiny model runs on a CPU"):
        planned_stages.Planner(recipe.load([ROOT / "configs/laptop.yaml"]), H100, tmp_path)


def test_the_command_prints_tables_and_takes_less_than_two_seconds():
    script = "import sys; from polaris.commands import cli; sys.argv[0] = 'polaris'; cli.main()"
    command = [sys.executable, "-c", script, "plan", "--configfile", str(V2[0]), "--price", "2"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 2
    for words in ("GiB on one GPU", "distilled", "KV cache", "disk:", "price at 2 per GPU hour", "GPU hours:"):
        assert words in done.stdout
    assert (done.returncode != 0) == ("cannot work so" in done.stderr)


def test_a_kept_plan_sums_the_jobs_of_a_stage(v2, tmp_path):
    profile, planned = Profile(ROOT / "cluster/config.yaml"), list(v2.stages())
    assert plan.kept(tmp_path / "runs/x") is None
    plan.keep(planned, profile, "H100-80GB", tmp_path / "runs/x")
    kept = plan.kept(tmp_path / "runs/x")
    small, large = (one for one in planned if one.rule == "responses")
    assert kept.gpu == "H100-80GB" and kept.stages.keys() == {one.stage for one in planned}
    assert kept.stages["responses"].jobs == small.jobs + large.jobs
    assert kept.stages["responses"].gpus == profile.reserved("responses").gpus
    assert kept.stages["responses"].hours == pytest.approx(
        tuple((small.jobs * a + large.jobs * b) / 3600 for a, b in zip(small.seconds, large.seconds, strict=True))
    )
    (tmp_path / "runs/x/plan.json").write_text("{}")
    with pytest.raises(UserError, match="plan.json: gpu: this key is missing"):
        plan.kept(tmp_path / "runs/x")
