"""The recipes of docs/parts.md as graphs: what is left out has no job, and the models and files are those named."""

import itertools
import re
import shlex

import pytest

from polaris.commands.state.snakemake_jobs import COMMAND, parsed
from polaris.hardware.gpus import GPUS
from polaris.planning.planned_stages import Planner
from polaris.recipe import recipe

from .conftest import ROOT, snakemake

BLOCKS = dict(
    zip(
        ("evaluation", "rl", "distil", "merge"),
        re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/parts.md").read_text(), re.DOTALL),
        strict=True,
    )
)
CONFIG = (
    '{"model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32, '
    '"num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144, "moe_intermediate_size": 768, '
    '"num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151936, "max_position_embeddings": 262144, '
    '"tie_word_embeddings": false, "rms_norm_eps": 1e-6, "rope_theta": 10000000}'
)


def jobs(folder, name):
    (folder / "mine.yaml").write_text(BLOCKS[name])
    for file in ("first", "second", "problems", "traces"):
        (folder / f"{file}.jsonl").touch()
    done = snakemake(folder, "-n", "-p", configs=[str(folder / "mine.yaml")])
    assert done.returncode == 0, done.stdout[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith(COMMAND) and " --out " in line]
    for words in map(shlex.split, lines):  # a flag without its files is an error of the verb
        flags = [word.startswith("--") for word in words]
        assert not any(flag and following for flag, following in itertools.pairwise(flags)), words
    found = {str(job.out.parent): job for job in map(parsed, lines)}
    return {out.partition("/")[2].partition("/")[2]: job for out, job in found.items()}


def modules(found):
    return {job.module for job in found.values()}


def test_an_evaluation_alone(tmp_path):
    found = jobs(tmp_path, "evaluation")
    names = ("mine", "other", "third")
    assert set(found) == {
        "benchmarks/first",
        "benchmarks/second",
        "report",
        *(f"{part}/{name}" for part in ("models", "responses", "scores") for name in names),
    }
    assert found["models/mine"].settings == {"path": "models/mine"}
    assert found["report"].settings["models"] == list(names) and found["report"].settings["ladder"] == []


def test_rl_from_an_own_checkpoint(tmp_path):
    found = jobs(tmp_path, "rl")
    assert found["base_small"].settings == {"path": "models/mine"} and "format_sft" not in found
    assert found["problems/rl"].settings["file"] == "problems.jsonl"
    assert not any(module.startswith(("large_sft", "merge")) for module in modules(found))
    assert str(found["grpo"].inputs["start"][0]).endswith("base_small/checkpoint.json")


def test_given_traces(tmp_path):
    found = jobs(tmp_path, "distil")
    assert "traces" not in found and "responses" not in found["sft_data"].inputs
    assert {"conversion", "distilled", "responses/base_large", "responses/distilled", "report"} <= set(found)
    assert not any(module.startswith(("small_rl", "merge")) for module in modules(found))


def test_a_merge_of_two_given_models(tmp_path):
    found = jobs(tmp_path, "merge")
    assert {job.module for name, job in found.items() if name.startswith("merged/")} == {"merge.merge_models"}
    assert found["base_large"].settings == {"path": "models/base"}
    assert found["distilled"].settings == {"path": "models/tuned"}
    assert not any(module.startswith(("small_rl", "large_sft")) for module in modules(found))
    assert found["report"].settings["generalists"] == ["base_large", "distilled"]


@pytest.mark.parametrize("name", BLOCKS)
def test_they_are_planned(tmp_path, monkeypatch, name):
    """With the shape of a published mixture in the place of each model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(BLOCKS[name])
    for folder in re.findall(r"path: (models/\w+)", BLOCKS[name]):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").write_text(CONFIG)
    counts = {"rl": {"problems": {"rl": {"count": 9}}}, "distil": {"problems": {"distill": {"count": 9}}}}
    counts["evaluation"] = {"benchmarks": {key: {"count": 30} for key in ("first", "second")}}
    values = {"device": "cuda", "inputs": counts.get(name, {})}
    loaded = recipe.load([tmp_path / "mine.yaml"], values)
    planned = {one.name for one in Planner(loaded, GPUS["H100-80GB"], tmp_path).stages()}
    wanted = {
        "evaluation": {"models/mine", "responses (models/mine)", "responses (models/third)"},
        "rl": {"base_small", "difficulty", "grpo", "core", "core_filtered", "responses (small)"},
        "distil": {"base_large", "conversion", "conversion_reference", "distilled", "responses (large)"},
        "merge": {"base_large", "distilled", "merged", "responses (large)"},
    }[name]
    assert wanted <= planned, planned
