"""A wrong recipe stops at parse time, in one sentence that names file and key."""

from pathlib import Path

import pytest
import yaml

from polaris.recipe import recipe, recipe_files
from polaris.stage.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
LAPTOP = ROOT / "configs/laptop.yaml"
FULL = [[ROOT / f"configs/{name}.yaml"] for name in ("polaris_v2", "polaris_v1_4b", "polaris_v1_7b")]
STUDY = [LAPTOP, ROOT / "configs/laptop_study.yaml"]
TWO_NODES = [LAPTOP, ROOT / "configs/laptop_two_nodes.yaml"]
SPARSE = [ROOT / "configs/laptop_sparse.yaml"]
RECIPES = [[LAPTOP], [LAPTOP, ROOT / "configs/test.yaml"], STUDY, SPARSE, TWO_NODES, *FULL]
# Overlays of the laptop recipe that leave parts out. A mapping of an overlay cannot drop keys of the one below it.
NO_GENERALIST = {"large_sft": None, "merge": None, "small_rl": {"specialist": None}, "inputs": {"base_large": None}}
NO_FORMAT = {"small_rl": {"format_data": None, "format_sft": None, "difficulty_model": "base_small"}}


def without(tmp_path: Path, *overlays: dict, problems: list[str], **rl: dict) -> recipe.Recipe:
    """The laptop recipe with overlays, only these problem sets, and changes to RL stages."""
    values = yaml.safe_load(LAPTOP.read_text())
    for overlay in [*overlays, {"small_rl": {"rl": rl}}]:
        values = recipe_files.merged(values, overlay)
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
    for half in (
        {"large_sft": None},
        {"merge": None},
        {"small_rl": {"specialist": None}},
        {"inputs": {"base_large": None}},
    ):
        with pytest.raises(
            UserError, match="less.yaml: .*: null, but .* is not; give inputs.base_large, small_rl.spec"
        ):
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


@pytest.mark.parametrize("name", ["polaris_v1_4b", "polaris_v1_7b"])
def test_v1_grows_length_and_temperature_from_stage_to_stage(name):
    lengths = {"polaris_v1_4b": [39936, 48128, 52224], "polaris_v1_7b": [15360, 23552, 31744]}[name]
    temperatures = {"polaris_v1_4b": [1.4, 1.45, 1.5], "polaris_v1_7b": [0.7, 1.0, 1.1]}[name]
    v1 = recipe.load([ROOT / f"configs/{name}.yaml"])
    stages = list(v1.small_rl.rl.values())
    assert [stage.max_response_length for stage in stages] == lengths
    assert [stage.temperature for stage in stages] == temperatures
    assert [stage.start for stage in stages] == ["base_small", "stage1", "stage2"]
    assert [stage.drop_easy and stage.drop_easy.log for stage in stages] == [None, "stage1", "stage2"]
    assert all(stage.rescue and stage.substitution and stage.prompts_per_step == 128 for stage in stages)
    # Each temperature is one that the search before the stage looks at, so that `{search: ...}` could choose it.
    for stage, search in zip(stages, v1.small_rl.temperature_search.values(), strict=True):
        assert stage.temperature in search.grid and search.model == stage.start


@pytest.mark.parametrize("files", RECIPES, ids=lambda files: files[-1].stem)
def test_every_shipped_recipe_is_valid(files):
    assert recipe.load(files).run == files[-1].stem


def test_every_recipe_file_is_covered():
    assert {path.name for files in RECIPES for path in files} == {p.name for p in (ROOT / "configs").glob("*.yaml")}


@pytest.mark.parametrize(
    ("files", "arm", "control", "differs"),
    [
        (STUDY, "core", "grpo", {"reward", "core"}),
        (STUDY, "core_filtered", "core_unfiltered", {"overlap"}),
        (STUDY, "core_filtered", "core_high", {"overlap.keep"}),
        (STUDY, "core_guarded", "core", {"core.guard"}),
        (STUDY, "core_unfiltered", "grpo_grpo", {"start", "reward", "core"}),
        (SPARSE, "core", "grpo", {"reward", "core"}),
        (SPARSE, "core_teacher", "core", {"core.consensus", "core.update"}),
        (SPARSE, "core_placebo", "core_teacher", {"core.consensus"}),
        (SPARSE, "rescued", "grpo", {"rescue"}),
        (SPARSE, "core_filtered", "core_high", {"overlap.keep"}),
    ],
)
def test_a_control_differs_in_what_it_controls_and_in_nothing_else(files, arm, control, differs):
    stages = recipe.load(files).small_rl.rl
    a, b = (stages[name].model_dump() for name in (arm, control))
    found = set()
    for key in a:
        if isinstance(a[key], dict) and isinstance(b[key], dict):
            found |= {f"{key}.{one}" for one in a[key] if a[key][one] != b[key][one]}
        elif a[key] != b[key]:
            found.add(key)
    assert found == differs


def test_the_study_adds_arms_and_changes_nothing_else():
    plain, study = recipe.load([LAPTOP]), recipe.load(STUDY)
    assert [study.small_rl.rl[name] for name in plain.small_rl.rl] == list(plain.small_rl.rl.values())
    assert study.large_sft.model_copy(update={"self_distillation": False}) == plain.large_sft
    changed = {"run", "small_rl", "large_sft"}
    assert study.model_dump(exclude=changed) == plain.model_dump(exclude=changed)
    assert study.small_rl.model_dump(exclude={"rl"}) == plain.small_rl.model_dump(exclude={"rl"})
    assert set(plain.checkpoints.items()) < set(study.checkpoints.items())


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


def overlaid(tmp_path: Path, overlay: str) -> recipe.Recipe:
    (tmp_path / "mine.yaml").write_text(overlay)
    return recipe.load([LAPTOP, tmp_path / "mine.yaml"])


def test_an_overlay_changes_one_value_of_one_stage(tmp_path):
    plain, changed = recipe.load([LAPTOP]), overlaid(tmp_path, "small_rl: {rl: {core: {steps: 7}}}")
    assert changed.small_rl.rl["core"].steps == 7
    before, after = plain.model_dump(), changed.model_dump()
    after["small_rl"]["rl"]["core"]["steps"] = plain.small_rl.rl["core"].steps
    assert before == after


def search(change: str) -> str:
    """An overlay with one temperature search, one of its values changed."""
    values = {
        "model": "format_sft", "problems": "rl", "after": None, "reset": None, "grid": [0.5, 1.0], "k": 4,
        "instruction": "",
        "top_p": 1.0, "top_k": -1, "max_tokens": 96, "sampling_seed": 5,
        "engine": {"dtype": "float32", "max_model_len": 256, "max_num_seqs": 8, "tensor_parallel_size": 1,
                   "pipeline_parallel_size": 1, "nodes": 1, "kv_cache_dtype": "auto", "replicas": 1,
                   "kv_cache_gib": 0.25, "gpu_memory_utilization": None, "yarn": None},
        "grading": {"grader": "math_verify", "format": "think", "timeout": 5.0, "workers": 1, "max_failure_rate": 0.02},
        "tolerance": 0.03, "collapse": 0.15, "confidence": 0.95, "resamples": 200, "seed": 0,
    }  # fmt: skip
    values |= yaml.safe_load("{" + change + "}")
    return yaml.safe_dump({"small_rl": {"temperature_search": {"one": values}}})


def named(name: str, count: int) -> str:
    """An overlay with one more benchmark."""
    source = {"family": "chain", "count": count, "depth": [1, 2], "error_rate": 0.0, "pool": "benchmark", "seed": 1}
    generate = {"k": {name: 4}}
    return yaml.safe_dump({"inputs": {"benchmarks": {name: source}}, "evaluate": {"generate": generate}})


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("small_rl: {rl: {grpo: {stesp: 3}}}", "mine.yaml: small_rl.rl.grpo.stesp: there is no such key"),
        ("small_rl: {rl: {grpo: {steps: 0}}}",
         "mine.yaml: small_rl.rl.grpo.steps: .*greater than or equal to 1.*got 0"),
        ("merge: {alphas: [0.3, 1.2]}", "mine.yaml: merge.alphas.1: .*less than or equal to 1.*got 1.2"),
        ("merge: {alphas: [0.3, 0.30]}", "alpha 0.30 occurs twice"),
        ("small_rl: {rl: {grpo: {start: core}}}", "rl.grpo.start: core is a later stage"),
        ("small_rl: {rl: {grpo: {start: corr}}}", "rl.grpo.start: corr does not exist"),
        ("small_rl: {specialist: nobody}", "mine.yaml: small_rl: specialist: nobody is no RL stage"),
        ("small_rl: {difficulty: {k: {format: 4}}}", "mine.yaml: small_rl.difficulty.k: must have exactly the keys rl"),
        (search("model: corr"), "temperature_search.one.model: corr is no model"),
        (search("after: two, reset: {slight_fall: 0.2, fine_step: 0.05, wide_step: 0.1}"),
         "one.after: two is no earlier"),
        (search("after: one"), "`after` and `reset`: give both"),
        (search("grid: [1.0, 0.5]"), "grid: temperatures must rise"),
        (search("grid: [1.0, 1.005]"), "grid: 1.005 has more than two decimals"),
        (search("tolerance: 0.5"), r"collapse \(0.15\) must not be below tolerance \(0.5\)"),
        (search("problems: held") + "inputs: {problems: {held: {file: a.jsonl, gold: some, count: null, published: "
                                    "null, max_rows: null}}}",
         "inputs.problems.held.gold: some, but temperature_search or probe grades all of them"),
        ("small_rl: {rl: {grpo: {temperature: {search: one}}}}",
         "rl.grpo.temperature.search: one is no search of temperature_search .*possible: none"),
        (search("model: core")[:-1] + "\n  rl: {core: {temperature: {search: one}}}",
         "before this stage; possible: none"),
        ("small_rl: {rl: {grpo: {temperature: {serch: one}}}}",
         "small_rl.rl.grpo.temperature.search: this key is missing"),
        ("small_rl: {rl: {grpo: {temperature: 9}}}", "small_rl.rl.grpo.temperature: .*less than or equal to 5"),
        ("small_rl: {rl: {grpo: {context: 200}}}", r"context \(200\) must hold engine.max_model_len \(256\)"),
        ("small_rl: {rl: {grpo: {truncation: drop}}}", "small_rl.rl.grpo.truncation: .*'none' or 'mask'"),
        ("small_rl: {rl: {grpo: {truncation: {penalty: 1}}}}",
         "small_rl.rl.grpo.truncation.buffer: this key is missing"),
        ("small_rl: {rl: {grpo: {truncation: {penalty: 1, buffer: 97}}}}",
         r"truncation.buffer \(97\) must not exceed max_response_length \(96\)"),
        ("small_rl: {rl: {grpo: {validate: {benchmark: chian, k: 2, every: 4}}}}",
         "small_rl.rl.grpo.validate.benchmark: chian is none of inputs.benchmarks; possible: chain digits"),
        ("small_rl: {rl: {grpo: {validate: {benchmark: chain, k: 0, every: 4}}}}",
         "grpo.validate.k: .*greater than or eq"),
        (search("problems: other"), "inputs.problems: must have exactly the keys format, rl, distill, other"),
        ("small_rl: {rl: {core: {core: {consensus: grpo}}}}", "core.consensus: grpo has no consensus sets"),
        ("small_rl: {rl: {core: {drop_easy: {log: core, rule: mean, above: 0.9}}}}",
         "drop_easy.log: core is no earlier RL stage"),
        ("small_rl: {rl: {grpo: {substitution: {}}}}", "grpo.substitution.min_informative: this key is missing"),
        ("small_rl: {rl: {core: {core: null}}}", "`core` must be given for `reward: core`"),
        ("small_rl: {rl: {grpo: {updates_per_step: 5}}}", "must be a multiple of updates_per_step"),
        ("small_rl: {rl: {grpo: {max_response_length: 400}}}", "must fit into engine.max_model_len"),
        ("small_rl: {rl: {core_filtered: {overlap: {keep: threshold}}}}",
         "`threshold` must be a number for `keep: thr"),
        ("small_rl: {rl: {core_filtered: {overlap: {keep: threshold, threshold: 0.2, within: accuracy}}}}",
         "`within: accuracy` is about halves: it needs `keep: median` or `keep: lower_half`"),
        ("large_sft: {sft: {layout: {expert: 3}}}", "does not divide the 2 processes"),
        ("inputs: {base_small: null}", "inputs.base_small: one of the keys hub, path, tiny is missing"),
        ("inputs: {base_small: {pretraining: {steps: many}}}",
         "mine.yaml: inputs.base_small.pretraining.steps: .*got 'many'"),
        (("inputs: {benchmarks: {extra: {family: chain, count: 5, depth: [1, 2], error_rate: 0.0, pool: benchmark, "
          "seed: 1}}}"),
         "evaluate.generate.k: must have exactly the keys chain, digits, chain_select, digits_select, extra"),
        ("merge: {select_on: [nobody]}",
         "mine.yaml: merge.select_on: nobody is none of inputs.benchmarks .chain, digits"),
        ("merge: {select_on: [chain, digits, chain_select, digits_select]}",
         "merge.select_on: it names every benchmark"),
        ("inputs: {benchmarks: {chain_select: {count: 256, seed: 1000}}}",
         "merge.select_on: chain_select has the problems of chain, which is reported"),
        ("report: {pass_k: [2, 5]}",
         "mine.yaml: report.pass_k: pass@5 needs as many samples; evaluate.generate.k.chain_select is 4"),
        ("report: {length_groups: [48, 32]}", "report: .*length_groups: must rise"),
        ("evaluate: {extra_evaluations: {yarn: {models: [nobody], engine: {max_num_seqs: 8}}}}",
         "mine.yaml: .*evaluate.extra_evaluations.yarn.models: nobody is no evaluated model; possible: base_small f"),
        ("evaluate: {generate: {engine: {pipeline_parallel_size: 2}}}",
         "mine.yaml: evaluate.generate.engine: .*pipeline_parallel_size must be 1 with device: cpu"),
        ("evaluate: {generate: {engine: {nodes: 2, replicas: 2}}}",
         r"replicas \(2\) must be 1 where an engine takes 2 nodes"),
        ("evaluate: {generate: {engine: {nodes: 2}}}",
         r"tensor_parallel_size \* pipeline_parallel_size \(1\) must be a multiple of nodes"),
        ("small_rl: {rl: {grpo: {engine: {tensor_parallel_size: 2, nodes: 2}}}}",
         "small_rl.rl.grpo: .*engine.nodes must be 1 here"),
        ("evaluate: {generate: {engine: {kv_cache_dtype: int2}}}", "evaluate.generate.engine.kv_cache_dtype: .*'fp8'"),
        ("small_rl: {rl: {grpo: {engine: {kv_cache_dtype: fp8}}}}",
         r"small_rl.rl.grpo: .*kv_cache_dtype \(fp8\) must be auto"),
        ("evaluate: {extra_evaluations: {same: {models: [core]}}}",
         "evaluate.extra_evaluations.same: it asks in no other way than evaluate.generate"),
        ("evaluate: {extra_evaluations: {no/path: {models: [core]}}}", "mine.yaml: evaluate.extra_evaluations.no/path"),
        ("evaluate: {extra_evaluations: {yarn: {engine: {max_num_seqs: 8}}}}",
         "mine.yaml: evaluate.extra_evaluations.yarn.models: this key is missing"),
        ("evaluate: {extra_evaluations: {yarn: {models: [core], engine: {yarn: {factor: 2.0, original: 64}}}}}",
         r"mine.yaml: evaluate.extra_evaluations.yarn.engine: .*max_model_len \(256\) must not exceed yarn's factor"),
        ("evaluate: {extra_evaluations: {few: {models: [core], k: {chain: 2}}}}",
         "report.pass_k: pass@4 needs as many samples; evaluate.extra_evaluations.few.k.chain is 2"),
        ("evaluate: {grading: {timeout: .inf}}", "mine.yaml: evaluate.grading.timeout: .*finite number .got inf"),
        ("small_rl: {rl: {grpo: {clip_ratio_high: .nan}}}", "mine.yaml: small_rl.rl.grpo.clip_ratio_high: .*finite number"),
        (named("average", 5), "mine.yaml: inputs: .*benchmarks.average: choose another name; the report has a column"),
        (named("Mean", 5), "mine.yaml: inputs: .*benchmarks.Mean: choose another name"),
        (named("a b", 5), "mine.yaml: inputs: .*benchmarks.a b: a name has letters, digits, _, - and ., and begins"),
        (named("..", 5), "mine.yaml: inputs: .*benchmarks...: a name has letters"),
        (named("one", 1), "mine.yaml: .*inputs.benchmarks.one.count: 1, but intervals and comparisons need two"),
        (search("problems: held") + "inputs: {problems: {held: {file: a.jsonl, gold: every, count: null, published: "
                                    "null, max_rows: 1}}}",
         "mine.yaml: .*inputs.problems.held.max_rows: 1, but intervals"),
        ("run: ../elsewhere", "mine.yaml: run: "),
        ("run: a\nrun: b", "mine.yaml.*line 2: key run is in line 1 already"),
        ("small_rl: {rl: [1, 2]}", "mine.yaml: small_rl.rl: "),
        ("run: [", "mine.yaml"),
        ("just text", "this is no recipe"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_file_and_key(tmp_path, overlay, message):
    with pytest.raises(UserError, match=message):
        overlaid(tmp_path, overlay)


def test_where_sections_disagree_the_file_of_the_blamed_key_is_named(tmp_path):
    (tmp_path / "first.yaml").write_text("large_sft: null\nmerge: null\nsmall_rl: {specialist: null}")
    (tmp_path / "second.yaml").write_text("small_rl: {rl: {core: {start: nobody}}}")
    with pytest.raises(UserError, match="/first.yaml: .*small_rl.specialist: null, but inputs.base_large is not"):
        recipe.load([LAPTOP, tmp_path / "first.yaml"])
    with pytest.raises(UserError, match="/second.yaml: small_rl: .*rl.core.start: nobody does not exist"):
        recipe.load([LAPTOP, tmp_path / "second.yaml", tmp_path / "first.yaml"])


def test_a_missing_key_is_named(tmp_path):
    values = yaml.safe_load(LAPTOP.read_text())
    del values["small_rl"]["rl"]["grpo"]["temperature"]
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match="short.yaml: small_rl.rl.grpo.temperature: this key is missing"):
        recipe.load([tmp_path / "short.yaml"])
    with pytest.raises(UserError, match="there is no such recipe file"):
        recipe.load([tmp_path / "nowhere.yaml"])


def test_endpoints_of_the_sweep_are_the_models_themselves():
    laptop = recipe.load([LAPTOP])
    assert laptop.alphas["0.00"] == "distilled" and laptop.alphas["1.00"] == "base_large"
    assert laptop.alphas["0.30"] == "alpha=0.30" and laptop.checkpoints["alpha=0.30"] == "merged/alpha=0.30"
    assert "alpha=0.00" not in laptop.checkpoints


def test_self_distillation_is_a_second_arm_beside_the_first(tmp_path):
    plain, both = recipe.load([LAPTOP]), overlaid(tmp_path, "large_sft: {self_distillation: true}")
    assert plain.arms == {"": "core_filtered"} and both.arms == plain.arms | {"_self": "base_large"}
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


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("like: corr", "mine.yaml: small_rl.rl.one.like: corr is no RL stage; possible: grpo core core_filtered two"),
        ("like: one", "small_rl.rl.one.like: one leads back to this stage; possible: grpo core core_filtered two"),
        ("like: two", "small_rl.rl.two.like: one leads back to this stage; possible: grpo core core_filtered$"),
        ("like: [core]", "mine.yaml: small_rl.rl.one.like: .'core'. is no RL stage"),
        ("like: core, steps: 0", "mine.yaml: small_rl.rl.one.steps: .*greater than or equal to 1"),
        ("like: core, start: one", "mine.yaml: .*rl.one.start: one is a later stage"),
    ],
)
def test_what_a_stage_cannot_be_like(tmp_path, overlay, message):
    with pytest.raises(UserError, match=message):
        overlaid(tmp_path, f"small_rl: {{rl: {{one: {{{overlay}}}, two: {{like: one}}}}}}")


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("inputs: {problems: {rl: {gold: none}}}", "inputs.problems.rl.gold: none, but these problems are graded"),
        (
            "large_sft: {sft_data: {verify: gold}}",
            "problems.distill.gold: none, but with large_sft.sft_data.verify: gold",
        ),
        ("clean: {distill: {unsuitable: [no_gold]}}", "clean.distill.unsuitable: no_gold drops every problem"),
        ("clean: {rl: {unsuitable: [proof]}}", "clean.rl.unsuitable: no_gold is missing"),
        ("inputs: {benchmarks: {aime25: {gold: some}}}", "inputs.benchmarks.aime25.gold: must be every"),
        ("inputs: {problems: {rl: {gold: maybe}}}", "inputs.problems.rl.gold: .*got 'maybe'"),
        ("clean: {extra: null}", "clean.extra: "),
    ],
)
def test_what_is_graded_has_golds(tmp_path, overlay, message):
    (tmp_path / "mine.yaml").write_text(overlay)
    with pytest.raises(UserError, match=message):
        recipe.load([ROOT / "configs/polaris_v2.yaml", tmp_path / "mine.yaml"])


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
    with pytest.raises(UserError, match="evaluate.large_engine: must be null, as there is no large model"):
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
    with pytest.raises(UserError, match="laptop.yaml: replicate: .*greater than or equal to 0"):
        recipe.load([LAPTOP], {"replicate": -1})
