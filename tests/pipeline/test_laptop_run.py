"""The whole recipe with real engines: verl, vLLM, Megatron-core, the merge, the report."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from polaris.recipe import recipe
from polaris.stage import manifest
from polaris.stage.records import CONSENSUS, GRADED, RESPONSES, read_rows

from .conftest import CONFIGS, KILLED_STAGE, ROOT, snakemake

RECIPE = recipe.load(CONFIGS)


@pytest.fixture(scope="module")
def results(finished) -> dict:
    return json.loads((finished / "report/results.json").read_text())


def test_every_checkpoint_was_trained_and_evaluated(finished, results):
    assert {row["name"] for row in results["models"]} == set(RECIPE.evaluations)
    for name, (_, asked) in RECIPE.evaluations.items():
        graded = read_rows(finished / f"scores/{name}/graded.parquet", GRADED)
        for benchmark, k in asked.k.items():
            rows = [row for row in graded if row["set"] == benchmark]
            assert len(rows) == k * RECIPE.inputs.benchmarks[benchmark].count
            (shown,) = [r for r in results["models"] if (r["name"], r["benchmark"]) == (name, benchmark)]
            assert shown["avg"] == pytest.approx(sum(row["correct"] for row in rows) / len(rows))
            assert shown["interval"][0] <= shown["avg"] <= shown["interval"][1]


def test_yarn_is_an_extra_evaluation(finished, results):
    """The same questions and seeds, another rope: other responses, beside the model's own and nowhere else."""
    plain, stretched = (
        read_rows(finished / f"responses/{name}/responses.parquet", RESPONSES)
        for name in ("core_filtered", "core_filtered@yarn")
    )
    key = ("set", "problem_id", "sample", "seed")
    assert [[row[name] for name in key] for row in plain] == [[row[name] for name in key] for row in stretched]
    same = sum(one["response"] == other["response"] for one, other in zip(plain, stretched, strict=True))
    assert same < len(plain) / 2
    again = [row for row in results["pairs"] if "core_filtered@yarn" in (row["a"], row["b"])]
    assert {(row["family"], row["b"]) for row in again} == {("extra evaluations", "core_filtered")}


def test_steps_planned_are_steps_reached(finished):
    for name, stage in RECIPE.small_rl.rl.items():
        done = manifest.read(finished / name / "checkpoint.json")
        assert done.steps == {"planned": stage.steps, "reached": stage.steps}
        lines = [json.loads(line) for line in (finished / name / "log/metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(1, stage.steps + 1))
        events = EventAccumulator(str(finished / name / "log"))
        events.Reload()
        assert [event.step for event in events.Scalars("accuracy")] == list(range(1, stage.steps + 1))
    for name in ("format_sft", "distilled"):
        steps = manifest.read(finished / name / "checkpoint.json").steps
        assert steps["planned"] == steps["reached"] > 0


def test_the_killed_stage_went_on_where_it_was(finished):
    """From the last checkpoint: there is one per step, and a step may lie between its line and its checkpoint."""
    folder = finished.parents[1]
    step = json.loads((folder / "kill.json").read_text())
    (went_on,) = re.findall(rf"{KILLED_STAGE}: resumes after step (\d+)", (folder / "continued.log").read_text())
    assert int(went_on) >= step - 1, f"kill in the step that follows {step}"


def test_every_rung_moved_its_weights(finished):
    for name in ("format_sft", *RECIPE.small_rl.rl, "distilled"):
        own = manifest.read(finished / name / "checkpoint.json")
        start = manifest.read(finished.parents[1] / own.inputs["start"]["path"])
        weights = lambda m: {n: f["xxh3"] for n, f in m.files.items() if n.endswith(".safetensors")}
        assert weights(own) and set(weights(own).values()).isdisjoint(weights(start).values()), name


def test_a_stage_in_half_precision(finished):
    """fp16 in the actor, in its rollouts and in what is exported; rounding its start alone would not be a training."""
    (name,) = [name for name, stage in RECIPE.small_rl.rl.items() if stage.precision == "fp16"]
    done = manifest.read(finished / name / "checkpoint.json")
    start = manifest.read(finished.parents[1] / done.inputs["start"]["path"])
    before, after = (load_file(one.model / "model.safetensors") for one in (start, done))
    assert {tensor.dtype for tensor in after.values()} == {torch.float16}
    assert any(not torch.equal(before[key].half(), after[key]) for key in after)
    lines = [json.loads(line) for line in (finished / name / "log/metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(line["grad_norm"]) and line["mismatch_max"] < 0.05 for line in lines)


def test_core_grew_its_consensus_sets(finished):
    def counts(path):
        return {(row["problem_id"], row["step"]): row["count"] for row in read_rows(path, CONSENSUS)}

    before, after = (counts(finished / name / "consensus.parquet") for name in ("rl_data", "core"))
    kept = before.keys() & after.keys()
    assert kept and sum(after[pair] for pair in kept) > sum(before[pair] for pair in kept)
    assert not (finished / "grpo/consensus.parquet").exists()


def test_the_overlap_filter_chose_among_the_rl_problems(finished):
    ids = {name: set(pq.read_table(finished / name / "problems.parquet")["id"].to_pylist())
           for name in ("rl_data", "core_filtered_data")}  # fmt: skip
    assert ids["core_filtered_data"] and ids["core_filtered_data"] <= ids["rl_data"]


def test_the_page_stands_alone(finished):
    outside = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            outside.extend(v for k, v in attrs if k in ("src", "href") and v and not v.startswith(("#", "data:")))

    page = (finished / "report/index.html").read_text()
    Links().feed(page)
    assert outside == [] and page.count("<svg") >= 3


def test_results_have_the_documented_shape(results):
    assert {"name", "start", "steps", "benchmark", "k", "n", "avg", "interval", "truncated"} <= set(
        results["models"][0]
    )
    assert {"a", "b", "difference", "interval"} <= set(results["pairs"][0])
    assert {row["alpha"] for row in results["alphas"]} == {0.3, 0.5} == {float(alpha) for alpha in RECIPE.alphas}
    stages = {row["stage"]: row for row in results["timings"]}
    assert {"format_sft", "grpo", "core", "core_filtered", "distilled"} <= set(stages)
    assert all(row["seconds"] > 0 for row in stages.values())


def test_a_forked_generation_says_what_a_process_of_its_own_says(finished, tmp_path):
    """Forked from a process that has vLLM, which Snakemake's clock of memory does not see; the same bytes without."""
    kept = finished / "responses/core/data.json"
    told = manifest.read(kept)
    (timed,) = [row.split("\t") for row in (kept.parent / "benchmark.tsv").read_text().splitlines()[1:]]
    assert float(timed[2]) < 100 and told.memory > 300
    inputs = [word for key in ("model", "problems") for word in (f"--{key}", *told.inputs[key]["path"].split())]
    done = subprocess.run(
        [sys.executable, "-m", told.module, "--settings", json.dumps(told.settings), *inputs,
         "--out", str(tmp_path / "core/data.json")], cwd=finished.parents[1], check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0
    name = "responses.parquet"
    assert manifest.read(tmp_path / "core/data.json").files[name] == told.files[name]


def test_a_second_run_has_nothing_to_do(finished, tmp_path):
    again = snakemake(shutil.copytree(finished.parents[1], tmp_path / "again"))
    assert again.returncode == 0 and "Nothing to be done" in again.stdout
