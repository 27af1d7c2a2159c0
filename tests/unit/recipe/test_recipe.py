"""What a recipe makes of its files: parts left out, overlays, arms, evaluations, replicates."""

from pathlib import Path

import pytest
import yaml

from polaris.recipe import recipe
from polaris.recipe.named import merged
from polaris.stage.errors import UserError
from tests.helpers.recipes import LAPTOP, ROOT, overlaid, values_of

SPARSE = [ROOT / "configs/laptop_sparse.yaml"]
# Overlays of the laptop recipe that leave parts out. A mapping of an overlay cannot drop keys of the one below it.
NO_GENERALIST = {"large_sft": None, "merge": None, "small_rl": {"specialist": None}, "inputs": {"base_large": None}}
NO_FORMAT = {"small_rl": {"format_data": None, "format_sft": None, "difficulty_model": "base_small"}}


def without(tmp_path: Path, *overlays: dict, problems: list[str], **rl: dict) -> recipe.Recipe:
    """The laptop recipe with overlays, only these problem sets, and changes to RL stages."""
    values = values_of(LAPTOP)
    for overlay in [*overlays, {"small_rl": {"rl": rl}}]:
        values = merged(values, overlay)
    for section in (values["inputs"]["problems"], values["clean"]):
        for name in section.keys() - set(problems):
            del section[name]
    (tmp_path / "less.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return recipe.load([tmp_path / "less.yaml"])


FROM_BASE = {name: {"start": "base_small"} for name in ("grpo", "core")}


def test_a_recipe_without_a_generalist(tmp_path):
    less = without(tmp_path, NO_GENERALIST, problems=["format", "rl"])
    assert list(less.checkpoints) == less.specialists == ["base_small", "format_sft", "grpo", "core", "core_filtered"]
    assert less.alphas == {} and less.generalists == [] and less.trained_on == ["format", "rl"]
    with pytest.raises(
        UserError, match="less.yaml: .*inputs.problems: must have exactly the keys format, rl, not format, rl, dis"
    ):
        without(tmp_path, NO_GENERALIST, problems=["format", "rl", "distill"])
    for half in ({"large_sft": None}, {"small_rl": {"specialist": None}}, {"inputs": {"base_large": None}}):
        with pytest.raises(UserError, match="less.yaml: .*: null, but .* is not"):
            without(tmp_path, half, problems=["format", "rl", "distill"])


def test_a_recipe_without_format_sft(tmp_path):
    less = without(tmp_path, NO_FORMAT, problems=["rl", "distill"], **FROM_BASE)
    assert less.specialists == ["base_small", "grpo", "core", "core_filtered"] and less.trained_on == ["rl", "distill"]
    with pytest.raises(UserError, match="rl.grpo.start: format_sft does not exist; possible: base_small"):
        without(tmp_path, NO_FORMAT, problems=["rl", "distill"])
    with pytest.raises(UserError, match="difficulty_model: format_sft, but there is none"):
        without(tmp_path, NO_FORMAT, {"small_rl": {"difficulty_model": "format_sft"}}, problems=["rl"], **FROM_BASE)
    with pytest.raises(UserError, match="format_data and format_sft: give both, or null for both"):
        without(tmp_path, {"small_rl": {"format_sft": None}}, problems=["rl", "distill"])


def test_consensus_sets_of_a_teacher(tmp_path):
    arms = """small_rl:
  rl:
    taught: {like: core, core: {consensus: teacher, update: frozen}}
    placebo: {like: taught, core: {consensus: teacher_placebo}}
"""
    found = overlaid(tmp_path, arms).small_rl
    assert found.teacher_sets == ["teacher", "teacher_placebo"] and found.rl["core"].core.consensus == "rl_data"
    assert recipe.load([LAPTOP]).small_rl.teacher_sets == []
    with pytest.raises(
        UserError, match="rl.taught.core.consensus: school has no consensus sets; possible: rl_data teacher"
    ):
        overlaid(tmp_path, arms.replace("consensus: teacher,", "consensus: school,"))


def test_who_learns_from_a_teachers_answers(tmp_path):
    sparse = recipe.load(SPARSE)
    assert sparse.specialists[-1] == "teacher_sft" and sparse.small_rl.teacher_answers
    assert not recipe.load([LAPTOP]).small_rl.teacher_answers
    assert overlaid(tmp_path, "small_rl: {rl: {grpo: {rescue: teacher}}}").small_rl.teacher_answers
    with pytest.raises(UserError, match="rl.grpo.rescue: .*False, 'own' or 'teacher'"):
        overlaid(tmp_path, "small_rl: {rl: {grpo: {rescue: true}}}")


def test_an_overlay_changes_one_value_of_one_stage(tmp_path):
    plain, changed = recipe.load([LAPTOP]), overlaid(tmp_path, "small_rl: {rl: {core: {steps: 7}}}")
    assert changed.small_rl.rl["core"].steps == 7
    before, after = plain.model_dump(), changed.model_dump()
    after["small_rl"]["rl"]["core"]["steps"] = plain.small_rl.rl["core"].steps
    assert before == after


def test_endpoints_of_the_sweep_are_the_models_themselves():
    laptop = recipe.load([LAPTOP])
    assert laptop.alphas["0.00"] == "distilled" and laptop.alphas["1.00"] == "base_large"
    assert laptop.alphas["0.30"] == "alpha=0.30" and laptop.checkpoints["alpha=0.30"] == "merged/alpha=0.30"
    assert "alpha=0.00" not in laptop.checkpoints


def test_self_distillation_is_a_second_arm_beside_the_first(tmp_path):
    plain, both = recipe.load([LAPTOP]), overlaid(tmp_path, "large_sft: {self_distillation: true}")
    assert plain.arms == [""] and both.arms == ["", "_self"]
    assert both.traces == plain.traces | {"traces_self": recipe.Traces("_self", "base_large", ["distill"])}
    more = dict(both.checkpoints.items() - plain.checkpoints.items())
    assert plain.checkpoints.items() <= both.checkpoints.items()
    assert more == {"distilled_self": "distilled_self"} | {
        f"alpha={alpha}_self": f"merged_self/alpha={alpha}" for alpha in ("0.30", "0.40", "0.50", "0.70")
    }
    assert (both.alphas, both.generalists) == (plain.alphas, plain.generalists)
    own = both.alphas_of("_self")
    assert (own["0.00"], own["0.50"], own["1.00"]) == ("distilled_self", "alpha=0.50_self", "base_large")
    assert plain.alphas_of("_self") == {}
    with pytest.raises(UserError, match="rl.distilled_self: choose another name"):
        overlaid(tmp_path, "small_rl: {rl: {distilled_self: {like: core}}}")


def test_unpinned_hub_ids_are_told():
    assert recipe.load([LAPTOP]).unpinned() == []
    keys = recipe.load([ROOT / "configs/polaris_v2.yaml"]).unpinned()
    assert {"inputs.base_small", "inputs.teacher", "inputs.problems.rl", "inputs.benchmarks.aime25"} <= set(keys)


def test_a_stage_is_like_another_but_for_what_it_says(tmp_path):
    found = overlaid(
        tmp_path,
        """
small_rl:
  rl:
    literal: {like: guarded, core: {guard: none}}
    guarded: {like: core, steps: 5, core: {guard: precision}}
    unfiltered: {like: core_filtered, overlap: null}
""",
    ).small_rl.rl
    core, filtered = found["core"], found["core_filtered"]
    guarded = core.model_copy(update={"steps": 5, "core": core.core.model_copy(update={"guard": "precision"})})
    assert found["guarded"] == guarded and found["literal"] == core.model_copy(update={"steps": 5})
    assert filtered.overlap and found["unfiltered"] == filtered.model_copy(update={"overlap": None})


def test_a_stage_like_another_follows_an_overlay_of_that_one(tmp_path):
    (tmp_path / "low.yaml").write_text("small_rl: {rl: {longer: {like: grpo, seed: 9}}}")
    (tmp_path / "high.yaml").write_text("small_rl: {rl: {grpo: {steps: 6}, longer: {save_every: 3}}}")
    found = recipe.load([LAPTOP, tmp_path / "low.yaml", tmp_path / "high.yaml"], {"replicate": 1}).small_rl.rl["longer"]
    assert (found.steps, found.save_every, found.seed) == (6, 3, 1_000_009)


def test_a_further_evaluation_is_the_usual_one_but_for_what_it_names(tmp_path):
    entry = "{models: [core, alpha=0.30], sampling: {max_tokens: 64}, engine: {yarn: {factor: 4.0, original: 64}}}"
    asked = overlaid(tmp_path, f"evaluate: {{extra_evaluations: {{yarn: {entry}}}}}\nreplicate: 1")
    usual, further = asked.evaluate.generate, asked.evaluate.extra_evaluations["yarn"]
    said = "sampling.max_tokens 64 instead of 96; engine.yarn factor 4.0, original 64 instead of none"
    assert further.changes(usual) == said and further.changes(further.generate) == ""
    assert further.sampling.seed == usual.sampling.seed == 1_000_123 and further.k == usual.k
    assert list(asked.evaluations)[:-2] == list(asked.checkpoints)
    assert asked.evaluations["core"] == ("core", usual)
    assert asked.evaluations["alpha=0.30@yarn"] == ("alpha=0.30", further.generate)
    assert recipe.load([LAPTOP]).evaluations.keys() == asked.checkpoints.keys(), "none in a recipe without one"


def test_large_models_have_an_engine_of_their_own(tmp_path):
    """In the usual evaluation and in one that names no engine; one that names its own means it for every model."""
    also = (
        "{greedy: {models: [core, alpha=0.30], sampling: {top_k: 1}}, few: {models: [alpha=0.30], engine: "
        "{kv_cache_gib: 0.1}}}"
    )
    engine = recipe.load([LAPTOP]).evaluate.generate.engine.model_dump(exclude={"device"}) | {"max_num_seqs": 7}
    overlay = yaml.safe_dump({"evaluate": {"large_engine": engine, "extra_evaluations": yaml.safe_load(also)}})
    asked = overlaid(tmp_path, overlay)
    large, small = asked.evaluate.large_engine, asked.evaluate.generate.engine
    assert large.device == asked.device and large != small
    wanted = {"core": small, "base_large": large, "distilled": large}
    wanted |= {"alpha=0.30": large, "core@greedy": small, "alpha=0.30@greedy": large}
    for name, expected in wanted.items():
        assert asked.evaluations[name][1].engine == expected, name
    assert asked.evaluations["alpha=0.30@few"][1].engine == asked.evaluate.extra_evaluations["few"].engine != large
    assert asked.evaluations["alpha=0.30@greedy"][1].sampling == asked.evaluate.extra_evaluations["greedy"].sampling


def test_a_large_engine_needs_a_large_model(tmp_path):
    engine = recipe.load([LAPTOP]).evaluate.generate.engine.model_dump()
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"evaluate": {"large_engine": engine}}))
    with pytest.raises(UserError, match="evaluate.large_engine: must be null, since there is no large model"):
        recipe.load([ROOT / "configs/polaris_v1_4b.yaml", tmp_path / "mine.yaml"])


def test_a_replicate_has_other_seeds_and_the_same_benchmarks():
    first, again = recipe.load([LAPTOP]), recipe.load([LAPTOP], {"run": "again", "replicate": 2})
    assert (again.inputs.benchmarks, again.report) == (first.inputs.benchmarks, first.report)
    for seed in (
        lambda values: values.inputs.base_large.seed,
        lambda values: values.inputs.problems["rl"].seed,
        lambda values: values.small_rl.difficulty.sampling.seed,
        lambda values: values.small_rl.rl["core_filtered"].seed,
        lambda values: values.large_sft.sft.seed,
        lambda values: values.evaluate.generate.sampling.seed,
    ):
        assert seed(again) == seed(first) + 2_000_000
    with pytest.raises(UserError, match="--config: replicate: .*greater than or equal to 0"):
        recipe.load([LAPTOP], {"replicate": -1})
