"""What a road costs, computed again by hand from a run's manifests and rollouts."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polaris.commands import study as command
from polaris.recipe import recipe
from polaris.report import study
from polaris.stage import manifest
from polaris.stage.records import RESPONSES, write_rows
from polaris.stage.stage import Stage
from polaris.tournament.costs import costs
from polaris.tournament.roads import BASE, ROADS, SPECIALIST, TOURNAMENT
from small_rl.rollouts.store import ROLLOUTS, step_file
from tests.helpers.report_run import Given, Nothing, Run

SMALL = {"vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 2, "head_dim": 2, "intermediate_size": 3, "tie_word_embeddings": True}  # fmt: skip
LARGE = SMALL | {"intermediate_size": 12}
# Active parameters: attention 4 * (4 + 4) * 2, two norms, feed-forward 3 * 4 * width, embedding, last norm.
ACTIVE = {"small": 64 + 8 + 36 + 40 + 4, "large": 64 + 8 + 144 + 40 + 4}
PROMPT, RESPONSES_T = 3, [[4, 6], [5, 5]]  # tokens: of each prompt, of two groups' responses


def forward(size: str, length: float) -> float:
    return 2 * ACTIVE[size] + 2 * 1 * length * 2 * 2


def model(run: Path, name: str, config: dict) -> None:
    with Stage("polaris.stage.manifest", Nothing(), {}, run / name / "checkpoint.json", "by hand") as stage:
        (stage.partial / "model").mkdir()
        (stage.partial / "model" / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
        (stage.partial / "model" / "model.safetensors").write_text(name)
        stage.publish()


def trained(run: Path, name: str, config: dict, metrics: dict, settings: dict, **inputs: str) -> None:
    """A stage that makes a model; where it has a teacher or is RL, with a store of one step."""
    read = {flag: manifest.read(run / one / "checkpoint.json") for flag, one in inputs.items()}
    with Stage("polaris.stage.manifest", Given(**settings), read, run / name / "checkpoint.json", "by hand") as stage:
        (stage.partial / "model").mkdir()
        (stage.partial / "model" / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
        (stage.partial / "model" / "model.safetensors").write_text(name)
        if not metrics:
            store = stage.log / "rollouts"
            store.mkdir(parents=True)
            rows = [rollout(group, sample, length) for group, lengths in enumerate(RESPONSES_T)
                    for sample, length in enumerate(lengths)]  # fmt: skip
            pq.write_table(pa.Table.from_pylist(rows, ROLLOUTS), step_file(store, 1))
            (stage.log / "metrics.jsonl").write_text('{"step": 1, "entropy": 1, "accuracy": 1, "response_steps": 1}\n')
        stage.publish(metrics=metrics, planned=1, reached=1)


def rollout(group: int, sample: int, length: int) -> dict:
    row = {field.name: None for field in ROLLOUTS} | {"step": 1, "group": group, "sample": sample}
    row |= {"problem_id": f"p{group}", "prompt": None if sample else [1] * PROMPT, "response": [2] * length}
    row |= {"weights": 0, "cut": False, "correct": True, "reason": "exact", "results": [], "source": group}
    return row | {"earned": 0.0, "penalty": 0.0}


def traces(run: Path, name: str, writer: str, lengths: list[int]) -> None:
    read = {"model": manifest.read(run / writer / "checkpoint.json")}
    with Stage("polaris.stage.manifest", Nothing(), read, run / name / "data.json", "by hand") as stage:
        rows = [{"set": "distill", "problem_id": f"p{n}", "sample": 0, "seed": 0, "response": "", "tokens": length,
                 "finish_reason": "stop"} for n, length in enumerate(lengths)]  # fmt: skip
        write_rows(stage.partial / "responses.parquet", rows, RESPONSES)
        stage.publish()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "runs/tournament_0"
    model(run, "base_small", SMALL)
    model(run, "base_large", LARGE)
    trained(run, "grpo", SMALL, {}, {}, start="base_small")
    trained(run, "opd", LARGE, {}, {"distillation": {"delta": False}}, start="base_large", teacher="grpo")
    trained(run, "exopd", LARGE, {}, {"distillation": {}}, start="base_large", teacher="grpo", base="base_small")
    delta = {"start": "base_large", "teacher": "grpo", "base": "base_small"}
    trained(run, "delta", LARGE, {}, {"distillation": {"delta": True}}, **delta)
    traces(run, "traces", "grpo", [4, 8])
    trained(run, "distilled", LARGE, {"tokens": 50, "traces": 5}, {}, start="base_large")
    return run


def test_by_hand(run: Path):
    found = costs(recipe.load([command.FOLDER / name for name in command.CONFIGS[TOURNAMENT]]), run)
    read, length = 20 + 4 * PROMPT, (20 + 4 * PROMPT) / 4
    assert found["forward"] == {size: forward(size, length) for size in ("small", "large")}
    own, small, large = 5 * forward("large", length), forward("small", length), forward("large", length)
    stages = found["stages"]
    assert stages["opd"] == {"responses": 4, "generated": 20, "flops": read * (own + small)}
    assert stages["exopd"]["flops"] == read * (own + 2 * small)
    assert stages["delta"]["flops"] == read * (own + 2 * small + large)
    assert stages["grpo"]["flops"] == read * 5 * small
    assert stages["traces"] == {"responses": 2, "generated": 12, "flops": (12 + 2 * PROMPT) * forward("small", 9)}
    assert stages["distilled"]["flops"] == 3 * 50 * forward("large", 10)
    assert set(stages) == {"grpo", "opd", "exopd", "delta", "traces", "distilled"}


def test_a_run_without_trainings_has_no_costs(tmp_path: Path):
    found = costs(recipe.load([command.FOLDER / name for name in command.CONFIGS[TOURNAMENT]]), tmp_path)
    assert found == {"stages": {}, "forward": {}}


def test_the_roads_are_those_of_the_recipe():
    made = recipe.load([command.FOLDER / name for name in command.CONFIGS[TOURNAMENT]])
    assert {road.model for road in ROADS} | {BASE, SPECIALIST} <= set(made.evaluations)
    assert {road.merged for road in ROADS if road.merged} == {
        name for name, sweep in command.sweeps(made).items() if sweep
    }
    stages = {*made.traces, *(f"distilled{arm}" for arm in made.arms), *made.opd}
    assert {stage for road in ROADS for stage in road.stages} == stages
    assert made.specialist == SPECIALIST and TOURNAMENT.family in made.headline


def test_the_record_of_a_replicate_has_its_extra_evaluation_and_its_costs(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    marks = {name: {"p0": "10", "p1": "00"} for name in ("chain", "digits", "chain_select", "digits_select")}
    for name in ("base_large", "opd"):
        Run(Path("runs/tournament_0")).scores(name, marks)
    Run(Path("runs/tournament_0")).scores("base_large@rast", marks | {"chain": {"p0": "1", "p1": "0"}})
    command.main([0], Path("study"))
    found = json.loads(Path("study/tournament_0.json").read_text())
    assert found["models"]["base_large@rast"]["correct"]["chain"] == [1, 0]
    assert found["models"]["base_large@rast"]["k"] == {"chain": 1} and "k" not in found["models"]["opd"]
    assert study.correct_PG(found, "base_large@rast", "chain").tolist() == [[True], [False]]
    assert "distilled" in found["missing"] and "base_large@rast" not in found["missing"]
    assert found["costs"]["stages"]["opd"]["generated"] == 20
    assert found["alphas"]["merge of opd"]["0.00"] == "opd" and found["alphas"]["merge of opd"]["1.00"] == "base_large"
    text = " ".join(Path("study/tournament.md").read_text().split())
    assert "from scratch, once" in text and "neither" not in text
