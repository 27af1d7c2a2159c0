"""An RL stage with rescue and substitution: what verl was given, and that a kill leaves no trace in numbers and
weights.
"""

import collections
import dataclasses
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polaris.stage import manifest, subprocesses
from polaris.stage.records import ACCURACY, CONSENSUS, RESCUE_BUFFER, read_problems, read_rows
from small_rl.repeat.again import again
from small_rl.repeat.compared import DIFFERENT, SAME, UNKNOWN
from small_rl.rl_settings import RlTraining
from small_rl.rollouts.store import FOLDER, read_step, stored_steps
from small_rl.rollouts.variants import replayed
from small_rl.training import train_rl, verl_checkpoint, verl_config, verl_devices, verl_ray_cluster

from .conftest import KILLED_STAGE


@dataclass(frozen=True)
class Run:
    """A training that nothing interrupted; rows: by step, the rows that verl trained on."""

    folder: Path
    problems: dict[str, dict]
    settings: RlTraining
    metrics: list[dict]
    accuracy: list[dict]
    rows: dict[int, list[dict]]

    def last(self, table: str, schema) -> list[dict]:
        return read_rows(verl_checkpoint.step_folder(self.folder / "checkpoints", self.settings.steps) / table, schema)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def killed(finished) -> manifest.Manifest:
    return manifest.read(finished / KILLED_STAGE / "checkpoint.json")


@pytest.fixture(scope="module")
def uninterrupted(finished, killed, tmp_path_factory) -> Run:
    """The killed stage's training once more, from its own inputs, without its evaluations and with a dump of verl's
    rows.
    """
    folder = tmp_path_factory.mktemp("uninterrupted")
    settings = RlTraining.model_validate(killed.settings).model_copy(update={"validation": None})
    start, data, consensus = (
        manifest.read(finished.parents[1] / killed.inputs[name]["path"]) for name in ("start", "data", "consensus")
    )
    problems = read_problems(data.file("problems.parquet"))
    train_rl.write_prompts(folder / "prompts.parquet", train_rl.prompts(problems, settings.instruction))
    sets = folder / "start_sets.parquet"
    train_rl.write_start_sets(settings.core, settings.grading, problems, consensus.file("consensus.parquet"), sets)
    with verl_ray_cluster.ray_folder(folder) as ray:
        logs = [folder / f"{name}.jsonl" for name in ("metrics", "accuracy", "validation")]
        files = verl_config.RlFiles(
            start.model, folder / "prompts.parquet", folder / "checkpoints", *logs, folder / "rollouts", consensus=sets
        )
        overrides = verl_config.rl_overrides(settings, files) + verl_config.hydra_overrides(folder)
        overrides.append(f"trainer.rollout_data_dir={folder / 'rows'}")
        command = [sys.executable, "-m", "small_rl.training.verl_main", *overrides]
        own = (
            settings.gpus_per_node,
            verl_devices.logical_cpus(settings),
            ray,
            folder / "ray.log",
            verl_devices.environment("cpu"),
        )
        with verl_ray_cluster.ray_cluster(1, *own) as env:
            subprocesses.run(command, folder / "verl.log", env, settings.timeout)
    rows = {int(path.stem): lines(path) for path in (folder / "rows").glob("*.jsonl")}
    return Run(folder, problems, settings, *map(lines, logs[:2]), rows)  # nothing is evaluated


# By rollout engine and actor both: vLLM's last bits depend on which requests share a batch. Nothing is trained on them.
ENGINE = {"mismatch": 1e-5, "mismatch_max": 1e-4}


def test_a_killed_training_is_an_uninterrupted_one(finished, killed, uninterrupted):
    """Killed at random: the same problems in the same order, rollouts, rewards, sets and, bit for bit, weights."""
    where = f"a kill in the step that follows {(finished.parents[1] / 'kill.json').read_text()}"
    exact = lambda found: {key: value for key, value in found.items() if key != "seconds" and key not in ENGINE}
    for ours, theirs in zip(lines(killed.file("log/metrics.jsonl")), uninterrupted.metrics, strict=True):
        assert exact(ours) == exact(theirs), where
        assert all(abs(ours[key] - theirs[key]) < allowed for key, allowed in ENGINE.items()), where
    assert lines(killed.file("log/accuracy.jsonl")) == uninterrupted.accuracy, where
    assert read_rows(killed.file("consensus.parquet"), CONSENSUS) == uninterrupted.last("consensus.parquet", CONSENSUS)
    last = verl_checkpoint.step_folder(uninterrupted.folder / "checkpoints", uninterrupted.settings.steps)
    theirs = load_file(last / "actor/huggingface/model.safetensors")
    ours = load_file(killed.file("model/model.safetensors"))
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == [], where


def test_a_rescued_row_has_reward_one(uninterrupted):
    """Groups that solved nothing have a right response then, and exactly the share that the metrics say."""
    rescued = 0
    for line, log in zip(uninterrupted.metrics, uninterrupted.accuracy, strict=True):
        rewards = collections.defaultdict(list)
        for row in uninterrupted.rows[line["step"]]:
            rewards[row["input"]].append(row["score"])
        found = 0
        for problem_id, accuracy in zip(log["problems"], log["accuracy"], strict=True):
            text = "\n" + uninterrupted.problems[problem_id]["problem"] + uninterrupted.settings.instruction
            given = next((found for prompt, found in rewards.items() if text in prompt), [])  # else: replaced by a copy
            if accuracy == 0 and 1.0 in given:
                assert given.count(1.0) * uninterrupted.settings.group_size == len(given)  # one a group, and its copies
                found += 1
        assert found / len(log["problems"]) == pytest.approx(line["rescued"], abs=1e-6)
        rescued += found
        assert line["mismatch_max"] < 1e-3  # rows of another policy are not measured against it
    assert rescued, "the test recipe no longer rescues anything: give the stage more steps"


def test_the_store_has_what_was_sampled_and_trained(killed, uninterrupted):
    """The same rollouts after kills, the rewards of the rows that verl trained on, and a replay that pays the same."""
    folders = killed.folder / "log" / FOLDER, uninterrupted.folder / FOLDER
    steps = list(range(1, uninterrupted.settings.steps + 1))
    assert [stored_steps(folder) for folder in folders] == [steps, steps]
    for step in steps:
        ours, theirs = (read_step(folder, step) for folder in folders)
        by_engine = ("log_probs", "actor_log_probs")
        assert [{**row, **dict.fromkeys(by_engine)} for row in ours] == [
            {**row, **dict.fromkeys(by_engine)} for row in theirs
        ]
        for row in ours:
            if row["actor_log_probs"] and row["rescued"] is None:
                assert row["actor_log_probs"] == pytest.approx(row["log_probs"], abs=1e-3)
        paid = {(row["group"], row["sample"]): row["earned"] if row["rescued"] is None else 1.0 for row in ours}
        trained = [paid[row["source"], row["sample"]] for row in ours]
        assert sorted(trained) == pytest.approx(sorted(row["score"] for row in uninterrupted.rows[step]), abs=1e-6)
    recorded, *others = replayed(folders[0]).rewards
    assert recorded.same == recorded.rollouts and others


def test_the_stage_again_from_its_store(finished, killed, tmp_path):
    """Without an engine, from the start and from a checkpoint: rewards, advantages, losses and, bit for bit, weights.

    The stage was killed: what its store has is one training all the same.
    """
    steps = killed.settings["steps"]
    store = killed.folder / "log" / FOLDER
    rows = again(store, steps, tmp_path / "whole")
    assert [row.step for row in rows] == list(range(1, steps + 1))
    for row in rows:
        parts = dataclasses.asdict(row)
        assert [name for name, word in parts.items() if word == DIFFERENT] == [], row
        assert [name for name, word in parts.items() if word == UNKNOWN] in ([], ["weights"])  # a kill after the save
    last = verl_checkpoint.step_folder(tmp_path / "whole/state/checkpoints", steps)
    ours, published = (
        load_file(last / "actor/huggingface/model.safetensors"),
        load_file(killed.model / "model.safetensors"),
    )
    assert [name for name in published if not torch.equal(published[name], ours[name])] == []

    unfinished = tmp_path / "run"  # the same stage before its end, with its last checkpoints
    unfinished.mkdir()
    for other in finished.iterdir():
        if other.name != KILLED_STAGE:
            (unfinished / other.name).symlink_to(other)
    shutil.copytree(store, unfinished / KILLED_STAGE / "log" / FOLDER)
    (unfinished / KILLED_STAGE / "state").mkdir()
    (unfinished / KILLED_STAGE / "state/fingerprint").symlink_to(tmp_path / "whole/state")
    (row,) = again(unfinished / KILLED_STAGE / "log" / FOLDER, steps, tmp_path / "last")
    assert row.step == steps and {row.rewards, row.log_probs, row.advantages, row.loss, row.gradient} == {SAME}
    assert row.weights in (SAME, UNKNOWN)


def test_the_log_is_published_as_a_table(killed, uninterrupted):
    rows = read_rows(killed.file("accuracy.parquet"), ACCURACY)
    steps, prompts = uninterrupted.settings.steps, uninterrupted.settings.prompts_per_step
    assert [row["step"] for row in rows] == [step for step in range(1, steps + 1) for _ in range(prompts)]
    means = [sum(r["accuracy"] for r in rows if r["step"] == s) / prompts for s in range(1, steps + 1)]
    assert means == pytest.approx([line["accuracy"] for line in uninterrupted.metrics], abs=1e-6)


def test_the_buffer_has_what_was_solved(uninterrupted):
    solved = {p for log in uninterrupted.accuracy for p, a in zip(log["problems"], log["accuracy"], strict=True) if a}
    assert {row["problem_id"] for row in uninterrupted.last("sink.parquet", RESCUE_BUFFER)} == solved


def test_evaluations_are_told_once_each_and_drawn(finished, killed):
    """At the start, every third step and at the end, whatever was killed. That they change nothing the first test
    shows.
    """
    asked = killed.settings["validate"]
    assert asked == {"benchmark": "chain", "k": 2, "every": 3}
    problems = read_problems(manifest.read(finished / "benchmarks/chain/data.json").file("problems.parquet"))
    told = lines(killed.file("log/validation.jsonl"))
    assert [line["step"] for line in told] == [0, 3, 6, killed.settings["steps"]]
    for line in told:
        right = line["avg"] * len(problems) * asked["k"]
        assert right == pytest.approx(round(right), abs=1e-3)
        assert 0 < line["response_tokens"] <= line["response_tokens_max"] <= killed.settings["max_response_length"]
    results = json.loads((finished / "report/results.json").read_text())
    (drawn,) = [row for row in results["curves"] if row["metric"] == "avg"]
    assert (drawn["stage"], drawn["benchmark"], drawn["k"]) == (KILLED_STAGE, "chain", 2)
    assert drawn["values"] == [line["avg"] for line in told]
    assert "core: avg@2 on chain" in (finished / "report/index.html").read_text()
