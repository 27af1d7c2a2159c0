"""The recipes of a machine with GPUs and without Slurm, and one on Slurm, by shipped and by printed profiles."""

import subprocess
import sys

import pytest

from .conftest import ROOT, snakemake


@pytest.mark.parametrize(
    ("name", "wanted", "absent"), [("one_gpu", "rl_rollouts", "distilled"), ("one_node", "distilled", None)]
)
def test_the_graph_of_a_machine(name, wanted, absent):
    done = snakemake(ROOT, "-n", "--profile", f"cluster/{name}", configs=[])
    assert done.returncode == 0, done.stdout[-4000:]
    rules = {line.split()[0] for line in done.stdout.splitlines() if line[:1].isalpha() and len(line.split()) == 2}
    assert {"rl", "report", wanted} <= rules and absent not in rules
    assert "gpu=" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reserved"),
    [
        (
            ["--partition", "gpu", "--cpu-partition", "cpu", "--time", "48"],
            ["slurm_partition=gpu", "nodes=4, tasks=4", "slurm_extra=--gpus-per-node=8 --ntasks-per-node=1 --signal="],
        ),
        (["--local"], ["gpu=8"]),
    ],
)
def test_snakemake_reads_the_profile_that_is_printed(tmp_path, arguments, reserved):
    """A recipe with `hardware`, from its three numbers to what its jobs reserve."""
    nodes = 1 if "--local" in arguments else 4
    (tmp_path / "mine.yaml").write_text(
        f"extends: [polaris_v2]\nhardware: {{nodes: {nodes}, gpus_per_node: 8, gpu: H100-80GB}}\n"
        "inputs: {base_large: {hub: Qwen/Qwen3-30B-A3B, revision: unpinned}}\n"
    )
    command = [sys.executable, "-m", "polaris.commands.cli", "profile", str(tmp_path / "mine.yaml"), *arguments]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (tmp_path / "config.yaml").write_text(printed)
    done = snakemake(ROOT, "-n", "--profile", str(tmp_path), configs=[])
    assert done.returncode == 0, done.stdout[-4000:]
    assert [words for words in reserved if words not in done.stdout] == []
