"""The recipes of a machine with GPUs and without Slurm: their graphs, by their own profiles."""

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
