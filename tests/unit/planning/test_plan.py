"""`polaris plan`: the profile held against the plan, what it prints, what it keeps."""

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from polaris.hardware.gpus import GPUS
from polaris.planning import plan
from polaris.planning.plan_profile import Profile
from polaris.planning.planned_stages import Planner
from polaris.recipe import recipe
from polaris.stage.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
V2 = [ROOT / "configs/polaris_v2.yaml"]
H100 = GPUS["H100-80GB"]


def test_the_profile_is_held_against_the_plan(v2):
    profile = Profile(ROOT / "cluster/config.yaml")
    assert profile.reserved("rl").gpus == 32 and profile.reserved("traces").gpus == 8
    assert profile.reserved("distilled").nodes == 16 and profile.reserved("rl_data").gpus == 0
    (grpo,) = (one for one in v2.stages() if one.name == "grpo")
    wide = plan.scheduled(replace(grpo, gpus=64), profile, {})
    assert "works on 64 GPUs, the profile reserves 32" in wide.wrong
    assert profile.reserved("rl").cpus == 64 and not plan.scheduled(grpo, profile, {}).wrong
    short = plan.scheduled(grpo, profile, {"grpo": 3600.0})
    assert any("the limit of 1 h; the profile tries 4 times" in reason for reason in short.wrong)


def test_an_expression_of_a_profile_is_refused(tmp_path):
    """Snakemake evaluates it for each job (docs/cluster.md)."""
    (tmp_path / "config.yaml").write_text("""set-resources: {rl: {nodes: "8 if wildcards.stage == 'mine' else 4"}}""")
    profile = Profile(tmp_path / "config.yaml")
    assert profile.reserved("traces").nodes == 1
    with pytest.raises(UserError, match="config.yaml: nodes of rl is no number .*plan with a profile that has numbers"):
        profile.reserved("rl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("default-resources: [mem_mb=16000]", "config.yaml: default-resources: write it as a mapping"),
        ("set-resources: {rl: [nodes=4]}", "config.yaml: set-resources.rl: write it as a mapping"),
        ("retries: many", "config.yaml: retries: 'many' is no whole number"),
        ("set-resources: {rl: {nodes: [4]}}", "config.yaml: nodes of rl is no number"),
        ("a: [", "config.yaml: this profile cannot be read .while parsing"),
        ("\xe9".encode("latin-1"), "config.yaml: this profile cannot be read .'utf-8' codec"),
        (None, "config.yaml: there is no such profile"),
    ],
)
def test_what_is_no_profile(tmp_path, text, message):
    """A profile is named by its folder, too, as for Snakemake."""
    if text:
        (tmp_path / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=message):
        Profile(tmp_path).reserved("rl")


@pytest.mark.parametrize(
    ("asked", "refused"),
    [({}, True), ({"cpus_per_task": 7}, True), ({"cpus_per_task": 8}, False), ({"cpus_per_task": -1}, False)],
)
def test_a_node_of_gpus_with_a_laptops_processors_is_refused(v2, tmp_path, asked, refused):
    """Slurm would give a job of eight GPUs the rule's one thread."""
    values = yaml.safe_load((ROOT / "cluster/config.yaml").read_text())
    del values["set-resources"]["rl"]["cpus_per_task"]
    values["set-resources"]["rl"] |= asked
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    (grpo,) = (one for one in v2.stages() if one.name == "grpo")
    found = plan.scheduled(grpo, Profile(tmp_path / "config.yaml"), {}).wrong
    assert [reason for reason in found if "processors beside 8 GPUs on a node; set cpus_per_task" in reason] == list(
        found
    )
    assert bool(found) is refused


def test_every_planned_stage_gets_its_gpus(v2, tmp_path):
    """A rule that cluster/config.yaml forgets would wait for a GPU on a node without one."""
    profile = Profile(ROOT / "cluster/config.yaml")
    v1 = [Planner(recipe.load([ROOT / f"configs/polaris_v1_{size}.yaml"]), H100, tmp_path) for size in ("4b", "7b")]
    for planner in (v2, *v1):
        assert not [one.name for one in planner.stages() if profile.reserved(one.rule).gpus < one.gpus]


def test_the_guide_shows_what_the_command_prints(v2):
    profile = Profile(ROOT / "cluster/config.yaml")
    planner = Planner(v2.recipe, H100, v2.known.run, lambda rule: profile.reserved(rule).nodes)
    planned = [plan.scheduled(one, profile, plan.limits(v2.recipe)) for one in planner.stages()]
    printed = "\n".join(
        ["$ polaris plan --configfile configs/polaris_v2.yaml --price 2.5", *plan.lines(planned, profile, H100, 2.5)]
    )
    assert printed in (ROOT / "docs/cluster.md").read_text(), "write what the command prints into docs/cluster.md"


@pytest.mark.slow
def test_the_command_prints_tables_and_takes_less_than_two_seconds():
    script = "import sys; from polaris.commands import cli; sys.argv[0] = 'polaris'; cli.main()"
    command = [sys.executable, "-c", script, "plan", "--configfile", str(V2[0]), "--price", "2"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 2
    for words in ("GiB on one GPU", "distilled", "KV cache", "disk:", "price at 2 per GPU hour", "GPU hours:"):
        assert words in done.stdout
    assert (done.returncode != 0) == ("will not run on this profile" in done.stderr)


def test_a_kept_plan_sums_the_jobs_of_a_stage(v2, tmp_path):
    profile, planned = Profile(ROOT / "cluster/config.yaml"), list(v2.stages())
    assert plan.kept(tmp_path / "runs/x") is None
    plan.keep(planned, profile, "H100-80GB", tmp_path / "runs/x")
    kept = plan.kept(tmp_path / "runs/x")
    small, large = (one for one in planned if one.rule == "responses")
    assert kept.gpu == "H100-80GB" and kept.stages.keys() == {one.stage for one in planned}
    assert kept.stages["responses"].jobs == small.jobs + large.jobs
    assert kept.stages["responses"].gpus == profile.reserved("responses").gpus
    assert kept.stages["responses"].hours == pytest.approx(
        tuple((small.jobs * a + large.jobs * b) / 3600 for a, b in zip(small.seconds, large.seconds, strict=True))
    )
    (tmp_path / "runs/x/plan.json").write_text("{}")
    with pytest.raises(UserError, match="plan.json: gpu: this key is missing"):
        plan.kept(tmp_path / "runs/x")


@pytest.mark.parametrize(("name", "gpu", "gpus"), [("one_gpu", "RTX-4090", 1), ("one_node", "H100-80GB", 8)])
def test_a_machine_without_slurm_holds_its_recipe(name, gpu, gpus, tmp_path):
    """A profile without an executor: no time limit, and every stage of GPUs has all that the machine has."""
    profile = Profile(ROOT / "cluster" / name)
    planner = Planner(recipe.load([ROOT / f"configs/{name}.yaml"]), GPUS[gpu], tmp_path, lambda rule: 1)
    stages = [plan.scheduled(stage, profile, {}) for stage in planner.stages()]
    assert [reason for stage in stages for reason in stage.wrong] == []
    assert {profile.reserved(stage.rule).gpus for stage in stages if stage.gpus} == {gpus}
    tighter = Planner(planner.recipe, replace(GPUS[gpu], memory=GPUS[gpu].memory / 2), tmp_path, lambda rule: 1)
    assert [reason for stage in tighter.stages() for reason in stage.wrong]
