"""The full recipes can be read as graphs without a GPU, a model or a network; a wrong one stops there."""

import json
import os
import re
import shlex
import shutil
import sys

import pytest

from polaris.commands.state.snakemake_jobs import parsed
from polaris.stage.versions import versions_of

from .conftest import CONFIGS, ROOT, snakemake

OFFLINE = {**os.environ, "HF_HUB_OFFLINE": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
RULES = {"preflight", "models", "format_data", "format_sft", "difficulty", "rl_data", "rl", "rl_rollouts",
         "overlap_filter",
         "traces", "sft_data", "conversion", "distilled", "merged", "responses", "scores", "report"}  # fmt: skip


def jobs(text: str) -> dict[str, int]:
    """Rule -> number of jobs, from Snakemake's job table."""
    pairs = [line.split() for line in text.splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


@pytest.mark.parametrize("way", ["--configfile", "--profile"])
def test_the_full_v2_graph(way):
    more = ("--profile", "cluster") if way == "--profile" else ()
    configs = [] if more else ["configs/polaris_v2.yaml"]
    done = snakemake(ROOT, "-n", *more, configs=configs, env=OFFLINE)
    assert done.returncode == 0, done.stdout[-4000:]
    table = jobs(done.stdout)
    assert RULES | {"teacher_responses", "conversion_reference"} <= set(table)
    assert (
        table["models"] == table["rl"] == 3
        and table["merged"] == 4
        and table["benchmarks"] == 4
        and table["responses"] == table["scores"] == 11
    )
    assert "runs/polaris_v2/report/data.json" in done.stdout


def reserved(text: str, target: str) -> set[str]:
    """Resources of the job that makes a target, as Snakemake shows them."""
    block = text.partition(f"output: {target}\n")[2].partition("\n\n")[0]
    return set(re.search(r"resources: (.*)", block)[1].split(", "))


def test_one_more_rl_stage_gets_the_nodes_of_the_others(tmp_path):
    """The profile knows rules, not stages: a recipe that names its own needs no line there."""
    overlay = "small_rl: {rl: {mine: {like: core}}}\nlarge_sft: {self_distillation: true}"
    (tmp_path / "mine.yaml").write_text(overlay)
    configs = [str(ROOT / "configs/polaris_v2.yaml"), str(tmp_path / "mine.yaml")]
    done = snakemake(ROOT, "-n", "--profile", "cluster", configs=configs, env=OFFLINE)
    assert done.returncode == 0, done.stdout[-4000:]
    node = "--gpus-per-node=8 --ntasks-per-node=1"
    several = {"nodes=4", "tasks=4", "slurm_partition=gpu", "mpi=srun", f"slurm_extra={node}"}
    assert several <= reserved(done.stdout, "runs/polaris_v2/mine/checkpoint.json")
    own = {"nodes=16", f"slurm_extra={node} --signal=USR1@1800"}
    assert own <= reserved(done.stdout, "runs/polaris_v2/distilled_self/checkpoint.json")
    assert "gres=gpu:8" in reserved(done.stdout, "runs/polaris_v2/traces_self/data.json")


def test_the_default_is_the_laptop_recipe():
    done = snakemake(ROOT, "-n", "--forceall", configs=[])
    assert done.returncode == 0 and "runs/laptop/report/data.json" in done.stdout


def test_drop_easy_takes_the_data_of_the_stage_that_it_follows(tmp_path):
    """Two in a row: the second starts from what the first left, and an overlap filter looks at what is left then."""
    (tmp_path / "mine.yaml").write_text("""
small_rl:
  rl:
    core: {drop_easy: {log: grpo, rule: last, above: 0.9}}
    core_filtered: {drop_easy: {log: core, rule: mean, above: 0.9}}
""")
    done = snakemake(tmp_path, "-n", "-p", configs=[*CONFIGS, str(tmp_path / "mine.yaml")])
    assert done.returncode == 0, done.stdout[-4000:]
    flags = {}
    for line in done.stdout.splitlines():
        if "-m small_rl." in line or "-m polaris.generation.generate" in line:
            words = shlex.split(line)
            flags[words[-1]] = dict(zip(words[3:-1:2], words[4::2], strict=False))
    data = lambda name: f"runs/test/{name}/data.json"
    model = lambda name: f"runs/test/{name}/checkpoint.json"
    first, second = flags[data("core_drop_easy")], flags[data("core_filtered_drop_easy")]
    assert (first["--problems"], first["--log"]) == (data("rl_data"), model("grpo"))
    assert (second["--problems"], second["--log"]) == (data("core_drop_easy"), model("core"))
    assert json.loads(second["--settings"]) == {"rule": "mean", "above": 0.9}
    assert flags[model("core")]["--data"] == data("core_drop_easy")
    assert flags[model("core_filtered")]["--data"] == data("core_filtered_data")
    rollouts = flags[data("core_filtered_rollouts")]
    assert rollouts["--problems"] == data("core_filtered_drop_easy")
    assert json.loads(rollouts["--settings"])["k"] == {"core_filtered_drop_easy": 16}


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("small_rl: {rl: {grpo: {steps: 0}}}", "small_rl.rl.grpo.steps"),
        ("small_rl: {rl: {grpo: {start: core}}}", "rl.grpo.start: core is a later stage"),
        ("merge: {alphas: [2.0]}", "merge.alphas.0"),
        ("run: a\nrun: b", "key run is in line 1 already"),
    ],
)
def test_a_wrong_recipe_stops_before_anything_runs(tmp_path, overlay, message):
    (tmp_path / "mine.yaml").write_text(overlay)
    done = snakemake(tmp_path, "-n", configs=[*CONFIGS, str(tmp_path / "mine.yaml")])
    assert done.returncode != 0
    assert message in done.stdout and "mine.yaml" in done.stdout and "Traceback" not in done.stdout


def test_an_unpinned_model_is_refused_when_it_is_needed(tmp_path):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    target = "runs/polaris_v2/base_small/checkpoint.json"
    done = snakemake(tmp_path, target, configs=["configs/polaris_v2.yaml"], env=OFFLINE)
    assert done.returncode != 0
    assert "inputs.base_small.revision: unpinned" in done.stdout and "polaris pin" in done.stdout
    assert not (tmp_path / "runs/polaris_v2/base_small").exists()


def flags(text: str) -> dict[str, dict[str, str]]:
    """Target -> the command that makes it, as flag -> its words, the verb under `verb`."""
    found = {}
    for line in text.splitlines():
        if " --out " in line:
            words = shlex.split(line.rpartition(" && ")[2])
            place = words.index("-m")
            pairs = " ".join(words[place + 2 :]).split("--")[1:]
            one = {"verb": words[place + 1]} | {
                key: value.strip() for key, _, value in (p.partition(" ") for p in pairs)
            }
            found[one["out"].removeprefix("runs/test/")] = one
    return found


def test_consensus_sets_of_a_teacher_beside_the_own_ones(tmp_path):
    """One recipe compares them; the placebo is made of the same answers."""
    (tmp_path / "mine.yaml").write_text("""
small_rl:
  rl:
    taught: {like: core, core: {consensus: teacher, update: frozen}}
    placebo: {like: taught, core: {consensus: teacher_placebo}}
""")
    done = snakemake(tmp_path, "-n", "-p", configs=[*CONFIGS, str(tmp_path / "mine.yaml")])
    assert done.returncode == 0, done.stdout[-4000:]
    found, data = flags(done.stdout), lambda name: f"runs/test/{name}/data.json"
    for name, sets in (("core", "rl_data"), ("taught", "consensus/teacher"), ("placebo", "consensus/teacher_placebo")):
        trained = found[f"{name}/checkpoint.json"]
        assert (trained["consensus"], trained["data"]) == (data(sets), data("rl_data"))
    made = [found[f"consensus/{name}/data.json"] for name in ("teacher", "teacher_placebo")]
    assert [one["problems"] for one in made] == [data("clean/rl")] * 2 and "teacher" not in made[0]
    assert [json.loads(one["settings"])["placebo"] for one in made] == [False, True]


def test_a_further_evaluation_is_a_stage_of_its_own(tmp_path):
    """It asks the same checkpoint in its own way; removed weights are removed after it, too."""
    (tmp_path / "mine.yaml").write_text("""
evaluate: {extra_evaluations: {yarn: {models: [core_filtered, alpha=0.30]}}}
merge: {keep: selected, selected: 0.5}
""")
    done = snakemake(tmp_path, "-n", "-p", configs=[*CONFIGS, str(tmp_path / "mine.yaml")])
    assert done.returncode == 0, done.stdout[-4000:]
    found = flags(done.stdout)
    usual, further = (found[f"responses/{name}/data.json"] for name in ("alpha=0.30", "alpha=0.30@yarn"))
    assert usual["model"] == further["model"] == "runs/test/merged/alpha=0.30/checkpoint.json"
    asked, stretched = (json.loads(one["settings"]) for one in (usual, further))
    assert stretched == {**asked, "engine": asked["engine"] | {"yarn": {"factor": 4.0, "original": 64}}}
    assert {"scores/core_filtered@yarn/data.json", "scores/alpha=0.30@yarn/data.json"} < found.keys()
    assert "runs/test/scores/alpha=0.30@yarn/data.json" in found["report/data.json"]["scores"]
    job = done.stdout.split("output: runs/test/merged/alpha=0.30/weights.json")[0].rpartition("rule merged_weights:")[2]
    assert "scores/alpha=0.30/data.json" in job and "scores/alpha=0.30@yarn/data.json" in job


def test_an_engine_in_a_container(tmp_path):
    """Its stages run there, and are told of it; `status` reads them all the same."""
    (tmp_path / "mine.yaml").write_text("interpreters: {vllm: 'unshare --mount python'}")
    done = snakemake(tmp_path, "-n", "-p", configs=[*CONFIGS, str(tmp_path / "mine.yaml")])
    assert done.returncode == 0, done.stdout[-4000:]
    jobs = {
        job.out.parent.name: job for job in (parsed(line) for line in done.stdout.splitlines() if " --out " in line)
    }
    assert jobs["difficulty"].python == "env 'POLARIS_CONTAINER=unshare --mount' unshare --mount python"
    assert jobs["difficulty"].module == "polaris.generation.generate" and jobs["grpo"].python == sys.executable
    inside = "env 'POLARIS_CONTAINER=env -u NOTHING' env -u NOTHING " + sys.executable
    assert versions_of(inside) == versions_of(sys.executable)


def test_self_distillation_is_a_second_arm_of_the_graph(tmp_path):
    """Its stages are those of the first one but for whose traces they start from; nothing of the first changes."""
    (tmp_path / "mine.yaml").write_text("large_sft: {self_distillation: true}\nmerge: {keep: selected, selected: 0.3}")
    plain, both = (
        snakemake(tmp_path, "-n", "-p", configs=[*CONFIGS, *more]) for more in ([], [str(tmp_path / "mine.yaml")])
    )
    assert plain.returncode == both.returncode == 0, both.stdout[-4000:]
    first, second = flags(plain.stdout), flags(both.stdout)
    own = {
        "traces_self/data.json": "traces/data.json",
        "sft_data_self/data.json": "sft_data/data.json",
        "distilled_self/checkpoint.json": "distilled/checkpoint.json",
        "merged_self/alpha=0.30/checkpoint.json": "merged/alpha=0.30/checkpoint.json",
        "scores/alpha=0.30_self/data.json": "scores/alpha=0.30/data.json",
    }
    assert first.keys() < second.keys() and own.keys() <= second.keys() - first.keys()
    assert all(second[out] == one for out, one in first.items() if out != "report/data.json")
    for out, other in own.items():
        changed = {key for key, value in second[out].items() if value != second[other][key]}
        assert changed == {"out", *(key for key in ("model", "responses", "data", "distilled") if key in second[out])}
    assert second["traces_self/data.json"]["model"] == "runs/test/base_large/checkpoint.json"
    assert second["traces/data.json"]["model"] == "runs/test/core_filtered/checkpoint.json"
    assert "scores/alpha=0.30_self/data.json" in second["report/data.json"]["scores"]
    assert "runs/test/sft_data_self/data.json" in second["report/data.json"]["data"]
    kept = {
        line.rpartition("merged_weights ")[2].strip() for line in both.stdout.splitlines() if "merged_weights" in line
    }
    assert {
        "present --checkpoint runs/test/merged/alpha=0.30/checkpoint.json",
        "removed --checkpoint runs/test/merged/alpha=0.50/checkpoint.json",
        "removed --checkpoint runs/test/merged_self/alpha=0.30/checkpoint.json",
    } <= kept


@pytest.mark.parametrize("name", ["polaris_v1_4b", "polaris_v1_7b"])
def test_v1_is_three_stages_and_their_evaluation(name):
    done = snakemake(ROOT, "-n", "-p", configs=[f"configs/{name}.yaml"], env=OFFLINE)
    assert done.returncode == 0, done.stdout[-4000:]
    table = jobs(done.stdout)
    # Nothing of the generalist, of the format SFT or of a merge.
    assert {name for name in table if not name.endswith(":")} == {
        "all", "preflight", "models", "problems", "benchmarks", "clean", "difficulty", "rl_data", "rl", "drop_easy",
        "responses_at_temperature", "temperature_search", "responses", "scores", "report", "total",
    }  # fmt: skip
    assert table["rl"] == table["temperature_search"] == 3 and table["drop_easy"] == 2
    # Two of the models once more, without YaRN.
    assert table["responses"] == table["scores"] == 4 + 2 and table["benchmarks"] == 5
    (line,) = [text for text in done.stdout.splitlines() if "--out runs/" + name + "/stage2/checkpoint.json" in text]
    assert f"--start runs/{name}/stage1/checkpoint.json --data runs/{name}/stage2_drop_easy/data.json" in line


SEARCHES = """
small_rl:
  temperature_search:
    first: &search
      model: format_sft
      problems: held_out
      after: null
      reset: null
      grid: [0.6, 1.0, 1.4]
      k: 4
      instruction: ""
      top_p: 1.0
      top_k: -1
      max_tokens: 96
      sampling_seed: 5
      engine: {dtype: float32, max_model_len: 256, max_num_seqs: 256, tensor_parallel_size: 1,
        pipeline_parallel_size: 1,
        nodes: 1, kv_cache_dtype: auto, replicas: 1, kv_cache_gib: 0.25, gpu_memory_utilization: 0.25, yarn: null}
      grading: {grader: polaris, format: think, timeout: 5.0, workers: 1, max_failure_rate: 0.02}
      tolerance: 0.03
      collapse: 0.15
      confidence: 0.95
      resamples: 2000
      seed: 0
    second:
      <<: *search
      model: core
      after: first
      reset: {slight_fall: 0.2, fine_step: 0.05, wide_step: 0.1}
      grid: [1.4, 1.45]
  rl:
    core_filtered: {temperature: {search: second}}
inputs:
  problems:
    held_out: {family: chain, count: 64, depth: [2, 5], error_rate: 0.0, pool: train, seed: 6}
"""


def test_two_temperature_searches_are_a_graph(tmp_path):
    (tmp_path / "mine.yaml").write_text(SEARCHES)
    done = snakemake(tmp_path, "-n", "-p", configs=[CONFIGS[0], str(tmp_path / "mine.yaml")])
    assert done.returncode == 0, done.stdout[-4000:]
    table = jobs(done.stdout)
    assert table["responses_at_temperature"] == 5 and table["temperature_search"] == 2
    assert "--model runs/laptop/core/checkpoint.json --problems runs/laptop/problems/held_out/data.json" in done.stdout
    reset = "--last runs/laptop/temperature/first/data.json --trained runs/laptop/core/checkpoint.json"
    stage = "--start runs/laptop/core/checkpoint.json --data runs/laptop/core_filtered_data/data.json"
    sets = "--consensus runs/laptop/core/checkpoint.json --temperature runs/laptop/temperature/second/data.json"
    text = " ".join(done.stdout.split())  # an absent option leaves its blank
    assert f"{stage} {sets} --out runs/laptop/core_filtered/checkpoint.json" in text
    assert f"temperature/second/T=1.45/data.json {reset} --out runs/laptop/temperature/second/data.json" in done.stdout
