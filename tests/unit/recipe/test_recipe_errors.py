"""A wrong recipe stops at parse time, in one sentence that names file and key."""

import pytest
import yaml

from polaris.recipe import recipe
from polaris.stage.errors import UserError
from tests.helpers.recipes import LAPTOP, ROOT, overlaid, values_of


def search(change: str) -> str:
    """An overlay with one temperature search, one of its values changed."""
    values = {
        "model": "format_sft", "problems": "rl", "after": None, "reset": None, "grid": [0.5, 1.0], "k": 4,
        "instruction": "",
        "top_p": 1.0, "top_k": -1, "max_tokens": 96, "sampling_seed": 5,
        "engine": {"dtype": "float32", "max_model_len": 256, "max_num_seqs": 8, "tensor_parallel_size": 1,
                   "pipeline_parallel_size": 1, "nodes": 1, "kv_cache_dtype": "auto", "replicas": 1,
                   "kv_cache_gib": 0.25, "gpu_memory_utilization": None, "yarn": None},
        "grading": {"grader": "polaris", "format": "think", "timeout": 5.0, "workers": 1, "max_failure_rate": 0.02},
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
        ("merge: {keep: none, backend: mergekit}", "keep: none needs backend: stream"),
        ("evaluate: {extra_evaluations: {r: {models: [base_large], shift: {specialist: x, base: grpo, scale: 1}}}}",
         "extra_evaluations.r.shift.specialist: x is no evaluated model; possible: base_small"),
        ("evaluate: {generate: {shift: {specialist: core, base: base_small, scale: 1}}}",
         "evaluate.generate.shift: only an entry of evaluate.extra_evaluations may have one"),
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
        (search("problems: held") + "inputs: {problems: {held: {file: a.jsonl, gold: some, count: null, date: "
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
        ("inputs: {base_small: null}", "mine.yaml: inputs.base_small: null, but small_rl is not; give both"),
        ("inputs: {base_small: {pretraining: {steps: many}}}",
         "mine.yaml: inputs.base_small.pretraining.steps: .*got 'many'"),
        (("inputs: {benchmarks: {extra: {family: chain, count: 5, depth: [1, 2], error_rate: 0.0, pool: benchmark, "
          "seed: 1}}}"),
         "evaluate.generate.k: must have exactly the keys chain, digits, chain_select, digits_select, extra"),
        ("merge: {select_on: [nobody]}",
         "mine.yaml: merge.select_on: nobody is none of inputs.benchmarks .chain, digits"),
        ("merge: {select_on: [chain, digits, chain_select, digits_select]}",
         "merge.select_on: names every benchmark; leave"),
        ("inputs: {benchmarks: {chain_select: {count: 256, seed: 1000}}}",
         "merge.select_on: chain_select has the problems of chain, which is reported"),
        ("report: {pass_k: [2, 5]}",
         "mine.yaml: report.pass_k: pass@5 needs 5 samples of each problem; evaluate.generate.k.chain_select is 4"),
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
         "evaluate.extra_evaluations.same: identical to evaluate.generate; change a setting or remove it"),
        ("evaluate: {extra_evaluations: {no/path: {models: [core]}}}", "mine.yaml: evaluate.extra_evaluations.no/path"),
        ("evaluate: {extra_evaluations: {yarn: {engine: {max_num_seqs: 8}}}}",
         "mine.yaml: evaluate.extra_evaluations.yarn.models: this key is missing"),
        ("evaluate: {extra_evaluations: {yarn: {models: [core], engine: {yarn: {factor: 2.0, original: 64}}}}}",
         r"mine.yaml: evaluate.extra_evaluations.yarn.engine: .*max_model_len \(256\) must not exceed yarn's factor"),
        ("evaluate: {extra_evaluations: {few: {models: [core], k: {chain: 2}}}}",
         "report.pass_k: pass@4 needs 4 samples of each problem; evaluate.extra_evaluations.few.k.chain is 2"),
        ("evaluate: {grading: {timeout: .inf}}", "mine.yaml: evaluate.grading.timeout: .*finite number .got inf"),
        ("small_rl: {rl: {grpo: {clip_ratio_high: .nan}}}", "small_rl.rl.grpo.clip_ratio_high: .*finite number"),
        (named("average", 5), "mine.yaml: inputs: .*benchmarks.average: choose another name; the report has a column"),
        (named("Mean", 5), "mine.yaml: inputs: .*benchmarks.Mean: choose another name"),
        (named("a b", 5), "mine.yaml: inputs: .*benchmarks.a b: a name has letters, digits, _, - and ., and begins"),
        (named("..", 5), "mine.yaml: inputs: .*benchmarks...: a name has letters"),
        (named("one", 1), "mine.yaml: .*inputs.benchmarks.one.count: 1, but intervals and comparisons need two"),
        (search("problems: held") + "inputs: {problems: {held: {file: a.jsonl, gold: every, count: null, date: "
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
    with pytest.raises(UserError, match="/first.yaml: .*large_sft: null, but inputs.base_large is not"):
        recipe.load([LAPTOP, tmp_path / "first.yaml"])
    with pytest.raises(UserError, match="/second.yaml: small_rl: .*rl.core.start: nobody does not exist"):
        recipe.load([LAPTOP, tmp_path / "second.yaml", tmp_path / "first.yaml"])


def test_a_missing_key_is_named(tmp_path):
    values = values_of(LAPTOP)
    del values["small_rl"]["rl"]["grpo"]["temperature"]
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match="short.yaml: small_rl.rl.grpo.temperature: this key is missing"):
        recipe.load([tmp_path / "short.yaml"])
    with pytest.raises(UserError, match="there is no such recipe file"):
        recipe.load([tmp_path / "nowhere.yaml"])


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("like: corr", "mine.yaml: small_rl.rl.one.like: corr is no RL stage; possible: grpo core core_filtered two"),
        ("like: one", "small_rl.rl.one.like: one leads back to it; possible: grpo core core_filtered two"),
        ("like: two", "small_rl.rl.two.like: one leads back to it; possible: grpo core core_filtered$"),
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
        ("clean: {extra: {unsuitable: []}}", "clean.extra.max_characters: this key is missing"),
    ],
)
def test_what_is_graded_has_golds(tmp_path, overlay, message):
    (tmp_path / "mine.yaml").write_text(overlay)
    with pytest.raises(UserError, match=message):
        recipe.load([ROOT / "configs/polaris_v2.yaml", tmp_path / "mine.yaml"])
