"""`polaris profile`: what each rule reserves on the hardware of a recipe, and that the plan agrees."""

import math
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from polaris.planning import plan, slurm_profile
from polaris.planning.plan_profile import Profile
from polaris.planning.planned_stages import Planner
from polaris.recipe import recipe
from polaris.stage.code import ROOT
from polaris.stage.errors import UserError

ANSWERS = {"partition": "gpu", "cpu_partition": "cpu", "time": "48", "on_this": False}
LOCAL = dict.fromkeys(ANSWERS) | {"on_this": True}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a recipe file into an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def file(text: str) -> str:
        Path("mine.yaml").write_text(text)
        return "mine.yaml"

    return file


def v2(nodes: int, more: str = "") -> str:
    return f"extends: [polaris_v2]\nhardware: {{nodes: {nodes}, gpus_per_node: 8, gpu: H100-80GB}}\n{more}"


MIXTURE = "inputs: {base_large: {hub: Qwen/Qwen3-30B-A3B, revision: unpinned}}\n"
ONE_GPU = "extends: [one_gpu]\nhardware: {nodes: 1, gpus_per_node: 1, gpu: %s}\n"
SMALLER = "inputs: {base_small: {hub: Qwen/Qwen3-4B, revision: unpinned}}\n"
RECIPES = {
    "one node": v2(1, MIXTURE), "four nodes": v2(4, MIXTURE), "235B on 16 nodes": v2(16),
    "24 GB": ONE_GPU % "RTX-4090", "80 GB": ONE_GPU % "H100-80GB" + SMALLER,
}  # fmt: skip


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_what_it_prints_holds_every_stage(write, text):
    """And without a profile the plan takes the same numbers, and no limit of time."""
    file = write(text)
    printed = slurm_profile.printed([file], **ANSWERS)
    Path("config.yaml").write_text(printed)
    assert yaml.safe_load(printed)["configfile"] == file
    loaded = recipe.load([file])
    for profile, wrong in ((Profile(Path("config.yaml")), "times the limit"), (slurm_profile.of(loaded), None)):
        planner = Planner(loaded, loaded.hardware.kind, Path("run"), lambda rule, of=profile: of.reserved(rule).nodes)
        stages = [plan.scheduled(stage, profile, plan.limits(loaded)) for stage in planner.stages()]
        assert [reason for stage in stages for reason in stage.wrong if not wrong or wrong not in reason] == []
        assert all(profile.reserved(stage.rule).nodes <= loaded.hardware.nodes for stage in stages)
        limit = 48 * 3600 if wrong else math.inf
        assert {profile.reserved(stage.rule).seconds for stage in stages if stage.gpus} == {limit}


def test_the_published_hardware_reserves_what_the_shipped_profile_does(write):
    """cluster/config.yaml by hand: four nodes for RL, sixteen for the SFT, which is warned before its limit."""
    shipped = yaml.safe_load((ROOT / "cluster/config.yaml").read_text())
    printed = yaml.safe_load(slurm_profile.printed([write(v2(16))], **ANSWERS))
    assert printed["default-resources"] == shipped["default-resources"]
    for rule in ("rl", "conversion", "distilled", "format_sft", "merged"):
        own, hand = printed["set-resources"][rule], shipped["set-resources"][rule]
        assert own | {"mem_mb": 0, "runtime": 0} == hand | {"mem_mb": 0, "runtime": 0}
    keys = set(shipped) - {"configfile", "set-resources", "default-resources"}
    assert {key: printed[key] for key in keys} == {key: shipped[key] for key in keys}
    # Generation takes as many nodes as bring a job near its limit.
    assert printed["set-resources"]["difficulty"]["nodes"] == 16 and "nodes" not in printed["set-resources"]["traces"]


@pytest.mark.parametrize(("name", "gpu", "gpus"), [("one_gpu", "RTX-4090", 1), ("one_node", "H100-80GB", 8)])
def test_the_profiles_of_one_machine_are_what_it_prints(write, name, gpu, gpus):
    """They have the rules of overlays beside those of their recipe."""
    file = write(f"extends: [{name}]\nhardware: {{nodes: 1, gpus_per_node: {gpus}, gpu: {gpu}}}\n")
    printed = yaml.safe_load(slurm_profile.printed([file], **LOCAL))
    shipped = yaml.safe_load((ROOT / "cluster" / name / "config.yaml").read_text())
    rules, own = shipped.pop("set-resources"), printed.pop("set-resources")
    assert own.items() <= rules.items()
    assert printed | {"configfile": ""} == shipped | {"configfile": ""}


@pytest.mark.parametrize(
    ("text", "answers", "words"),
    [
        (
            v2(1, MIXTURE),
            ANSWERS | {"partition": None},
            "There is no terminal to ask on; give --partition, --cpu-partition and ",
        ),
        (v2(1, MIXTURE), ANSWERS | {"time": "soon"}, "--time soon: write the hours as a number"),
        (v2(1, MIXTURE), ANSWERS | {"partition": "a b"}, "partition 'a b': write its name as `sinfo` shows it"),
        (v2(4, MIXTURE), LOCAL, "hardware: 4 nodes of 8 x H100-80GB: without Slurm there is one machine"),
        ("extends: [polaris_v2]", ANSWERS, "mine.yaml: hardware: this key is missing, and a profile reserves GPUs"),
        ("extends: [laptop]\nhardware: cpu", ANSWERS, "on a CPU snakemake --cores 2 needs no profile"),
    ],
)
def test_what_cannot_be_printed_is_one_sentence(write, monkeypatch, text, answers, words):
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(UserError) as error:
            slurm_profile.printed([write(text)], **answers)
    assert words in str(error.value) and len(str(error.value).splitlines()) == 1


def test_questions_are_asked_on_the_terminal_and_the_profile_goes_into_the_file(write):
    write(ONE_GPU % "RTX-4090")
    main, terminal = pty.openpty()
    script = "import sys; from polaris.commands import cli; sys.argv[0] = 'polaris'; cli.main()"
    with Path("config.yaml").open("w") as out:
        started = subprocess.Popen(
            [sys.executable, "-c", script, "profile", "mine.yaml"],
            stdin=terminal, stdout=out, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        os.write(main, b"gpu\ncpu\n24\n")
        _, asked = started.communicate(timeout=120)
    os.close(main)
    os.close(terminal)
    assert started.returncode == 0 and "partition of the nodes with GPUs: " in asked and "hours of the longest" in asked
    printed = yaml.safe_load(Path("config.yaml").read_text())
    assert printed["set-resources"]["rl"] == {
        "slurm_partition": "gpu", "cpus_per_task": 8, "gres": "'gpu:1'", "mem_mb": 62500, "runtime": 1440,
    }  # fmt: skip
