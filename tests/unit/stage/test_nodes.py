"""One command on every node: nothing to do on one, srun inside a Slurm job, a clear error elsewhere."""

import shlex
import socket
import sys
from pathlib import Path

import pytest
import yaml

from polaris.recipe import recipe
from polaris.stage import nodes
from polaris.stage.errors import UserError
from polaris.stage.nodes import CONTAINER, free_port, interface, interpreter, nodes_of_job, on_every_node, this_node
from small_rl.training.verl_devices import environment
from small_rl.training.verl_ray_cluster import ray_cluster, ray_start

ROOT = Path(__file__).resolve().parents[3]


def test_one_node_needs_no_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert on_every_node(1, ["train", "--it"]) == ["train", "--it"]


@pytest.mark.parametrize(
    ("job", "squeue", "nodes"),
    [
        ({}, "exit 3", 1),
        ({"SLURM_JOB_ID": "17", "SLURM_JOB_NUM_NODES": "4"}, "exit 3", 4),
        ({"SLURM_JOB_ID": "17"}, 'test "$2" = --jobs=17 && echo 2', 2),
        ({"SLURM_JOB_ID": "17"}, "echo no connection >&2; exit 1", "no connection"),
        ({"SLURM_JOB_ID": "17"}, "true", "no number of nodes"),
        ({"SLURM_JOB_ID": "17"}, None, "squeue, which this process does not find$"),
        ({"SLURM_JOB_ID": "17", "POLARIS_CONTAINER": "apptainer exec x"}, None, "bind Slurm's commands into it"),
        ({"SLURM_JOB_ID": "17", "SLURM_JOB_NUM_NODES": "1"}, None, 1),
    ],
)
def test_the_nodes_of_the_job(monkeypatch, tmp_path, job, squeue, nodes):
    if squeue is not None:
        script = tmp_path / "squeue"
        script.write_text(f"#!/bin/sh\n{squeue}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("SLURM_JOB_ID", "SLURM_JOB_NUM_NODES", "POLARIS_CONTAINER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    if isinstance(nodes, str):
        with pytest.raises(UserError, match=nodes):
            nodes_of_job()
    else:
        assert nodes_of_job() == nodes


def test_several_nodes_outside_a_job_are_refused(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(UserError, match="2 nodes need a Slurm job"):
        on_every_node(2, ["train"])


@pytest.fixture
def job(monkeypatch, tmp_path) -> Path:
    """This process is in a Slurm job; the folder of its commands."""
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    return tmp_path


def test_several_nodes_inside_a_job(job):
    line = on_every_node(2, ["train", "--it"])
    assert line[0] == "srun" and line[-2:] == ["train", "--it"]
    assert {"--jobid=17", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--kill-on-bad-exit=1"} <= set(line)


def test_the_same_container_on_every_node(monkeypatch, job):
    container = "apptainer exec --nv '/images/of rl.sif'"
    started = shlex.split(interpreter(f"{container} python3"))
    assert started[0] == "env" and started[2:] == ["apptainer", "exec", "--nv", "/images/of rl.sif", "python3"]
    name, _, told = started[1].partition("=")
    assert name == CONTAINER and interpreter("/envs/rl/bin/python") == "/envs/rl/bin/python"
    monkeypatch.setenv(name, told)
    line = on_every_node(2, ["train", "--it"])
    assert line[0] == "srun" and line[-6:] == ["apptainer", "exec", "--nv", "/images/of rl.sif", "train", "--it"]
    assert on_every_node(1, ["train"]) == ["train"], "it is in its container already"
    (job / "srun").unlink()
    with pytest.raises(UserError, match="does not find in its container; bind Slurm's commands into it"):
        on_every_node(2, ["train"])


def test_the_first_node_is_rays_head_without_a_dashboard():
    head, other = (ray_start(rank, "127.0.0.1", "6379", "8", "-", "/tmp/ray-x") for rank in (0, 1))
    assert "--node-ip-address=127.0.0.1" in head
    assert "--head" in head and "--include-dashboard=false" in head and "--num-gpus=8" in head
    assert "--address=127.0.0.1:6379" in other and "--head" not in other and "--block" in other
    assert not any(word.startswith("--num-cpus") for word in head) and "--num-cpus=7" in ray_start(
        1, "127.0.0.1", "6379", "1", "7", "/tmp/ray-x"
    )


@pytest.mark.slow
def test_a_head_that_does_not_start_is_told(tmp_path):
    folder = tmp_path / ("long" * 25)  # its sockets have at most 107 characters
    with (
        pytest.raises(UserError, match="(?s)Ray did not start; read .*path length cannot exceed"),
        ray_cluster(1, 0, 1, folder, tmp_path / "ray.log", environment("cpu")),
    ):
        pytest.fail("it has started")


def test_the_small_profile_gives_its_recipe_the_nodes_that_it_asks_for():
    """docs/cluster.md, "Try it small": one rank on each of two nodes, in the RL stages and in the generalist's
    training.
    """
    profile = yaml.safe_load((ROOT / "cluster/cpu/config.yaml").read_text())["set-resources"]
    small = recipe.load([ROOT / "configs/laptop.yaml", ROOT / "configs/laptop_two_nodes.yaml"])
    layout = small.large_sft.sft.layout
    asked = {name: (stage.nodes, stage.gpus_per_node) for name, stage in small.small_rl.rl.items()}
    asked |= {name: (layout.nodes, layout.gpus_per_node) for name in ("conversion", "distilled")}
    assert asked == dict.fromkeys(asked, (2, 1)) and profile.keys() == {"rl", "conversion", "distilled"}
    for given in profile.values():
        assert (given["nodes"], given["tasks"], given["mpi"]) == (2, 2, "srun")
        assert "--ntasks-per-node=1" in given["slurm_extra"]


def test_this_nodes_address_is_one_that_others_reach(monkeypatch):
    """Debian calls the own name 127.0.1.1; an interface that is named wins."""
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "10.1.2.3")
    assert this_node() == "10.1.2.3"
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.1.1")
    own, addresses = this_node(), nodes._addresses()
    assert own in addresses.values() and own != "127.0.1.1"
    if set(addresses) - {"lo"}:
        assert not own.startswith("127."), "a machine with a network is told by its outer address"
    assert addresses[interface()] == own
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    assert this_node() == "127.0.0.1" and interface() == "lo"


def test_variables_of_the_recipe_reach_the_engine():
    asked = {"NCCL_SOCKET_IFNAME": "ib0", "NCCL_IB_HCA": "mlx5_0 mlx5_1"}
    assert shlex.split(interpreter("/envs/rl/bin/python", asked)) == [
        "env", "NCCL_SOCKET_IFNAME=ib0", "NCCL_IB_HCA=mlx5_0 mlx5_1", "/envs/rl/bin/python",
    ]  # fmt: skip
    inside = shlex.split(interpreter("apptainer exec rl.sif python3", asked))
    assert (
        inside[0] == "env"
        and "NCCL_SOCKET_IFNAME=ib0" in inside
        and inside[-4:] == ["apptainer", "exec", "rl.sif", "python3"]
    )
    assert interpreter("python") == shlex.quote(sys.executable)


def test_a_free_port_can_be_bound():
    assert 1024 < free_port("127.0.0.1") < 65536
