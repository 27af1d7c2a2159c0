"""The published Qwen3 tokenizer and its padded vocabulary through every stage: two models of one's own, dense both."""

import json
import os

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from polaris.models.settings import Pretraining
from polaris.recipe import recipe
from polaris.stage import manifest
from polaris.stage.records import GRADED, RESPONSES, TOKENS, read_rows
from tests.helpers.real_tokenizer import VOCABULARY, make_model

from .conftest import CONFIGS, snakemake

DATA = os.environ.get("POLARIS_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="POLARIS_DATA names no folder with the published tokenizer")

PRETRAINING = Pretraining(
    families={"chain": 1.0}, depth=(1, 2), steps=200, batch=32, optimizer="adamw", learning_rate=4e-3, error_rate=0.0,
    underlined=0.5, instruction=" Underline key results.",
)  # fmt: skip
CHAIN = {"depth": [1, 2]}
RL = {"steps": 1, "prompts_per_step": 4, "group_size": 4, "save_every": 1, "updates_per_step": 1}
# Logits of 151,936 tokens: few rows at a time.
OVERLAY = {
    "run": "real_tokenizer",
    "engines": {"laptop": {"max_num_seqs": 16}},
    "inputs": {
        "base_small": {"path": "small"},
        "base_large": {"path": "large"},
        "problems": {"format": {**CHAIN, "count": 32}, "rl": {**CHAIN, "count": 16}, "distill": {**CHAIN, "count": 48}},
        "benchmarks": {"chain": {**CHAIN, "count": 8}, "digits": None, "chain_select": {**CHAIN, "count": 4},
                       "digits_select": None},
    },
    "small_rl": {
        "format_sft": {"epochs": 1, "batch": 8, "micro_batch": 4},
        "difficulty": {"k": {"rl": 2}},
        "rl": {"grpo": {**RL, "max_tokens_per_gpu": 384}, "core": None, "core_filtered": None},
        "specialist": "grpo",
    },
    "large_sft": {
        "sft": {"batch_tokens": 1024, "seq_length": 512, "loss_chunk": 256,
                "layout": {"expert": 1, "pipeline": 2}},
    },
    "merge": {"alphas": [0.5], "select_on": ["chain_select"]},
    "evaluate": {"generate": {"k": {"chain": 2, "digits": None, "chain_select": 2, "digits_select": None}},
                 "extra_evaluations": {"yarn": None}},
    "report": {"length_groups": [32]},
}  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real_tokenizer")
    for name, kind, seed in (("small", "qwen3", 1), ("large", "qwen2", 2)):
        make_model(folder / name, f"{DATA}/qwen3_tokenizer", kind, PRETRAINING, seed)
    (folder / "mine.yaml").write_text(yaml.safe_dump(OVERLAY))
    run = snakemake(folder, configs=[*CONFIGS, "mine.yaml"])
    assert run.returncode == 0, run.stdout[-6000:]
    return folder / "runs/real_tokenizer"


def test_every_model_has_a_score(done):
    rows = json.loads((done / "report/results.json").read_text())["models"]
    names = set(recipe.load([*CONFIGS, str(done.parents[1] / "mine.yaml")]).evaluations)
    assert {"base_small", "format_sft", "grpo", "base_large", "distilled", "alpha=0.50"} == names
    assert {row["name"] for row in rows if row["benchmark"] == "chain"} == names
    for name in names:
        assert len(read_rows(done / f"scores/{name}/graded.parquet", GRADED)) == 2 * (8 + 4)


def test_the_vocabulary_stays_padded(done):
    for name in ("format_sft", "grpo", "distilled", "merged/alpha=0.50"):
        config = json.loads((manifest.read(done / name / "checkpoint.json").model / "config.json").read_text())
        assert config["vocab_size"] == VOCABULARY, name


def test_responses_open_their_thoughts_themselves(done):
    """The generation prompt does not; and a trace is taught with the block that it opened."""
    responses = read_rows(done / "traces/responses.parquet", RESPONSES)
    assert sum(row["response"].startswith("<think>\n") for row in responses) > len(responses) / 2
    (opened,) = {tuple(row["input_ids"][row["prompt_tokens"] :][:2]) for row in
                 read_rows(done / "sft_data/tokens.parquet", TOKENS)}  # fmt: skip
    assert opened == (151667, 198), "<think> and a line's end"


def loss_of_traces(done, name: str) -> float:
    """Mean loss of a response's token, by transformers."""
    model = AutoModelForCausalLM.from_pretrained(manifest.read(done / name / "checkpoint.json").model)
    total, count = 0.0, 0
    for row in read_rows(done / "sft_data/tokens.parquet", TOKENS):
        ids, start = torch.tensor(row["input_ids"]), row["prompt_tokens"]
        with torch.no_grad():
            chances = model(ids[None]).logits[0].log_softmax(-1)
        total -= chances[start - 1 : -1].gather(1, ids[start:, None]).sum().item()
        count += len(ids) - start
    return total / count


def test_the_generalist_learned_on_two_pipeline_stages_with_one_embedding(done):
    trained = manifest.read(done / "distilled/checkpoint.json")
    assert trained.settings["layout"]["pipeline"] == 2
    assert trained.steps["planned"] == trained.steps["reached"] > 0
    assert loss_of_traces(done, "distilled") < 0.98 * loss_of_traces(done, "base_large")
