"""The ladder of recipes and the fifteen lines of docs/recipes.md: parsed, planned, looked at, read as graphs."""

import json
import re

import pytest

from polaris.hardware.gpus import GPUS
from polaris.models.tiny_tokenizer import SIZE
from polaris.planning import plan, preflight
from polaris.recipe import printed, recipe
from polaris.stage.errors import UserError
from tests.helpers.models import edit_json, write_model

from .conftest import ROOT, snakemake

LADDER = {  # recipe -> GPU, profile; None: as its hardware says
    "laptop": ("H100-80GB", "cluster/cpu"),
    "one_gpu": ("RTX-4090", "cluster/one_gpu"),
    "one_gpu_80gb": (None, None),
    "one_node": ("H100-80GB", "cluster/one_node"),
    "polaris_v2": ("H100-80GB", "cluster"),
}
PAGE = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/recipes.md").read_text(), re.DOTALL)
LINES = {found[1]: block for block in PAGE if "mine.jsonl" in block and (found := re.search(r"run: (\w+)", block))}


def planned(files: list, name: str) -> None:
    gpu, profile = LADDER[name]
    plan.main(files, ROOT / profile if profile else None, gpu, None, False, False)


@pytest.mark.parametrize("name", LADDER)
def test_a_recipe_of_the_ladder(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    file = ROOT / f"configs/{name}.yaml"
    loaded = recipe.loaded([file])
    text = printed.text(loaded, [file])
    assert all("#" in line for line in text.splitlines() if not line.endswith(":"))
    planned([file], name)
    assert ("GPU hours" in (said := capsys.readouterr().out)) == (name != "laptop") and "guessed" not in said
    found = list(preflight.contents(loaded.recipe, tmp_path / "run"))
    assert not [one.text for one in found if one.level == "wrong"]
    done = snakemake(tmp_path, "-n", configs=[str(file)])
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"runs/{name}/report/data.json" in done.stdout
    # The gate stands before what is paid for the generalist alone.
    gated = re.findall(r"input: .*conversion/data\.json.*\n\s*output: runs/\w+/(\S+)/data\.json", done.stdout)
    assert set(gated) >= ({"traces", "responses/base_large"} if loaded.recipe.large_sft else set())


def test_the_fifteen_lines(tmp_path, monkeypatch, capsys):
    """Swapped model and problems, the same without a generalist, one node: with a model of V2's shape, without weights
    to speak of, and a file of problems.
    """
    monkeypatch.chdir(tmp_path)
    shape = {"hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8}
    shape |= {"head_dim": 128, "intermediate_size": 9728, "max_position_embeddings": 262144, "vocab_size": SIZE}
    edit_json(write_model(tmp_path / "model") / "config.json", **shape)
    for name in ("mine", "held"):
        rows = [json.dumps({"problem": f"{name}: {i} + 1?", "answer": str(i + 1)}) for i in range(20)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    assert {"mine", "specialist", "node"} == LINES.keys()
    for run, block in LINES.items():
        assert len(block.splitlines()) <= 15
        (tmp_path / f"{run}.yaml").write_text(block.replace("/models/mine", str(tmp_path / "model")))
        planned([f"{run}.yaml"], "one_node" if run == "node" else "polaris_v2")
        assert ("distilled" in capsys.readouterr().out) == (run != "specialist")
        done = snakemake(tmp_path, "-n", configs=[f"{run}.yaml"])
        assert done.returncode == 0, done.stdout[-3000:]
        assert (f"runs/{run}/distilled/checkpoint.json" in done.stdout) == (run != "specialist")
        assert f"runs/{run}/report/data.json" in done.stdout


def test_a_model_that_is_too_large_is_refused_by_the_plan(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: [one_gpu]\ninputs: {base_small: qwen3_8b}")
    with pytest.raises(UserError, match=r"grpo: needs \d+\.\d GiB per GPU, it has 24\.0"):
        planned([tmp_path / "mine.yaml"], "one_gpu")
    assert GPUS["RTX-4090"].memory < GPUS["H100-80GB"].memory
