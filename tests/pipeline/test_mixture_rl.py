"""A mixture of experts trained by its own rollouts: after every update the engine has the actor's weights."""

import json
import subprocess
from pathlib import Path

import pytest

from polaris.models import make_model
from polaris.problems import make_problems
from polaris.stage import manifest
from tests.helpers.generation_run import MODEL, SETTINGS
from tests.helpers.stages import command
from tests.helpers.tables import run
from tests.helpers.verl_stages import rl_stage

pytest.importorskip("verl")

MIXTURE = {"tiny": "qwen3_moe", "hidden": 64, "intermediate_size": 64, "experts": 4, "experts_per_token": 2}
STEPS = 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> manifest.Manifest:
    """GRPO of the laptop recipe, STEPS steps of a learning rate at which a stale tensor shows."""
    folder = tmp_path_factory.mktemp("mixture")
    pretraining = MODEL["pretraining"] | {"families": {"chain": 1.0}, "steps": 60, "batch": 16}
    model = MODEL | MIXTURE | {"pretraining": pretraining}
    problems = {"family": "chain", "pool": "train", "count": 16, "depth": [1, 2], "error_rate": 0.0, "seed": 5}
    run(make_model.main, "--settings", json.dumps(model), "--out", folder / "start/checkpoint.json")
    run(make_problems.main, "--settings", json.dumps(problems), "--out", folder / "problems/data.json")
    settings = rl_stage("laptop", "grpo").model_dump(mode="json")
    settings |= {"steps": STEPS, "prompts_per_step": 8, "group_size": 4, "save_every": STEPS, "learning_rate": 0.01}
    # Rewards by length, so that every step has a gradient, right answers or not.
    settings |= {"truncation": {"penalty": 0.5, "buffer": settings["max_response_length"] - 1}}
    inputs = {"start": folder / "start/checkpoint.json", "data": folder / "problems/data.json"}
    out = folder / "grpo/checkpoint.json"
    succeed(command("small_rl.training.train_rl", settings, out, **inputs))
    return manifest.read(out)


def succeed(words: list[str]) -> str:
    """Run a stage; what it says."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_engine_has_the_actors_weights_after_each_update(trained: manifest.Manifest):
    lines = [json.loads(line) for line in (trained.folder / "log/metrics.jsonl").read_text().splitlines()]
    assert len(lines) == STEPS
    for line in lines:
        assert line["mismatch_max"] < 1e-4, line
    assert all(line["grad_norm"] > 0 for line in lines)


def test_the_experts_were_trained(trained: manifest.Manifest):
    """Otherwise old weights in the engine would be the new ones, too."""
    from safetensors.torch import load_file

    start = manifest.read(trained.inputs["start"]["path"]).model
    before, after = (load_file(Path(folder) / "model.safetensors") for folder in (start, trained.model))
    assert before.keys() == after.keys()
    moved = [name for name in before if ".experts." in name and (before[name] - after[name]).abs().max() > 1e-3]
    assert len(moved) > len([name for name in before if ".experts." in name]) // 2


def test_an_engine_that_loads_it_agrees_with_the_trainer(trained: manifest.Manifest, tmp_path: Path):
    """On log-probabilities (or it would refuse), and, in float32, on the experts of every token."""
    rows = json.loads(trained.file("canaries.json").read_text())
    assert len(rows) == 4 and len(rows[0]["experts"]) == len(rows[0]["prompt"] + rows[0]["response"])
    sets = {"model": trained.path, "problems": trained.folder.parent / "problems/data.json"}
    settings = SETTINGS | {"k": {"problems": 1}}
    said = succeed(command("polaris.generation.generate", settings, tmp_path / "responses/data.json", **sets))
    assert "0.00% of the trainer's tokens go to other experts in this engine" in said
