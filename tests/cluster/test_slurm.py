"""The cluster's way on a real Slurm: two-node generation that loses an engine, two-node RL on Ray, two-node Megatron
SFT that is warned, cancelled and retried, a merge.

Everything goes through Snakemake's Slurm executor; the earlier stages are those of the session's test run.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from polaris.stage.records import RESPONSES, read_rows
from tests.cluster import slurm

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 15
GENERATED = "runs/test/responses/base_small"
# What a cluster's recipe changes: more than one node, with one process on each; long enough to be cancelled on the way;
# the engines in a container, here a mount namespace of their own.
OVERLAY = {
    "interpreters": dict.fromkeys(("rl", "vllm", "megatron"), f"unshare --mount {sys.executable}"),
    # The stages that are like grpo stay as they were made.
    "small_rl": {"rl": {"grpo": {"nodes": 2, "steps": 1}, "core": {"nodes": 1}, "core_filtered": {"nodes": 1}}},
    "large_sft": {"sft": {"epochs": 12.0, "layout": {"nodes": 2, "gpus_per_node": 1}}},
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if why := slurm.missing():
        if os.environ.get("POLARIS_SLURM") == "required":
            pytest.fail(f"the Slurm tests must not be skipped here; {why}")
        pytest.skip(f"no Slurm: {why}")
    with slurm.running(tmp_path_factory.mktemp("slurm") / "toy") as environment:
        yield environment


def profile_with_gpus(folder: Path) -> Path:
    """The small profile of docs/cluster.md, whose stages of several nodes ask for GPUs as those of cluster/config.yaml
    do; a generation is one of them."""
    values = yaml.safe_load((ROOT / "cluster/cpu/config.yaml").read_text())
    several = values["set-resources"]
    several["responses"] = several["rl"] | {"mem_mb": 2000}
    for stage in several.values():
        stage |= {"slurm_partition": "gpu", "slurm_extra": "'--gpus-per-node=1 " + stage["slurm_extra"][1:]}
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return folder


@pytest.fixture(scope="module")
def run(cluster, finished, tmp_path_factory) -> tuple[Path, str]:
    """The folder after the run, and what Snakemake said."""
    folder = tmp_path_factory.mktemp("work") / "run"
    shutil.copytree(finished.parents[1], folder, symlinks=True)
    profile = profile_with_gpus(folder / "profile")
    (folder / "overlay.yaml").write_text(json.dumps(OVERLAY))
    stages = ("grpo", "distilled", "merged/alpha=0.30")
    targets = [f"runs/test/{stage}/checkpoint.json" for stage in stages]
    shutil.rmtree(folder / GENERATED)
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--profile", str(profile)),
        *("--nolock", "--rerun-incomplete", f"{GENERATED}/data.json", *targets),
        *("--configfile", str(ROOT / "configs/laptop.yaml"), str(ROOT / "configs/test.yaml"), "overlay.yaml"),
    ]
    log = folder / "snakemake.log"
    with log.open("w") as out:
        started = subprocess.Popen(command, cwd=folder, env=cluster, stdout=out, stderr=out)
        try:
            kill_an_engine(folder, started, 1)
            # As Slurm warns before the time limit (--signal), which cannot be shorter than a minute here.
            strike_the_sft(folder, cluster, started, 3, "--signal=USR1")
            strike_the_sft(folder, cluster, started, 12)
            started.wait(MINUTES * 60)
        finally:
            started.kill()
            subprocess.run(["scancel", "--user=root"], env=cluster, check=False)
    assert started.returncode == 0, log.read_text()[-6000:]
    return folder, log.read_text()


def kill_an_engine(folder: Path, run: subprocess.Popen, number: int) -> None:
    """SIGKILL for one of the engines of the generation, as soon as it is there; each node's is in a container."""
    deadline = time.monotonic() + MINUTES * 60
    while run.poll() is None and time.monotonic() < deadline:
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = one.cmdline()
                if line[-2:] == [str(number), "0"] and line[-3].startswith(str(folder / GENERATED)):
                    assert os.readlink(f"/proc/{one.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")
                    one.kill()
                    return
        time.sleep(0.1)
    pytest.fail("the engine did not start")


def strike_the_sft(folder: Path, environment: dict[str, str], run: subprocess.Popen, step: int, *how: str) -> None:
    """scancel the job of the SFT, or send it a signal, once it has done so many steps and written a checkpoint."""
    metrics = folder / "runs/test/distilled/log/metrics.jsonl"
    before = metrics.read_text() if metrics.exists() else ""
    deadline = time.monotonic() + MINUTES * 60
    while run.poll() is None and time.monotonic() < deadline:
        new = metrics.read_text() if metrics.exists() else ""
        if new != before and f'"step": {step},' in new:
            break
        time.sleep(0.1)
    assert run.poll() is None, f"the run ended before step {step} of the SFT"
    names = subprocess.run(
        ["squeue", "--noheader", "--states=RUNNING", "--format=%i %k"],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )
    job = re.search(r"^(\d+) .*distilled", names.stdout, re.MULTILINE)
    assert job, names.stdout
    subprocess.run(["scancel", *how, job[1]], env=environment, check=True)


def jobs(environment: dict[str, str]) -> list[dict[str, str]]:
    """Slurm's own record, a line for each finished job."""
    record = Path(environment["SLURM_CONF"]).parent / "log/jobs.txt"
    return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in record.read_text().splitlines()]


def test_stages_of_several_nodes_had_them(run, cluster):
    counts = sorted((job["NodeCnt"], job["JobState"]) for job in jobs(cluster))
    one, two = ("1", "COMPLETED"), ("2", "COMPLETED")
    cancelled, failed = ("2", "CANCELLED"), ("2", "FAILED")
    # The merge; the SFT at its third start, RL, the SFT's gate, the generation; the SFT that was warned, the generation
    # without an engine.
    assert counts == [one, cancelled, *[two] * 4, failed, failed]


def test_a_generation_of_two_nodes_is_that_of_one(run, finished):
    folder, _ = run
    several, one = (place / "responses/base_small" for place in (folder / "runs/test", finished))
    spread, alone = (read_rows(place / "responses.parquet", RESPONSES) for place in (several, one))
    assert spread == alone and len(spread) == 96
    assert all((several / f"log/vllm-{number}.log").exists() for number in (0, 1))


def test_an_engine_that_dies_on_one_node_ends_the_others_and_the_job_goes_on(run):
    folder, _ = run
    logs = (folder / ".snakemake/slurm_logs/rule_responses").rglob("*.log")
    first, second = (log.read_text() for log in sorted(logs, key=lambda log: int(log.stem)))
    assert re.search(
        r"error: node n2: .*polaris\.generation\.replicas .* 1 0: exited with status -9; .*vllm-1\.log", first
    )
    assert "response 96/96" in second and "error" not in second


def test_ray_ran_on_both_nodes(run):
    folder, _ = run
    log = (folder / "runs/test/grpo/log/ray.log").read_text()
    assert "Local node IP" in log and log.count("Ray runtime started") == 2
    made = json.loads((folder / "runs/test/grpo/checkpoint.json").read_text())
    assert made["steps"] == {"planned": 1, "reached": 1}


def test_two_ranks_do_what_one_does(run, finished):
    """Same seeds, same rollouts, same rewards. Each rank has its own half of every mini-batch, so that these hold other
    rollouts than with one rank, and the second update of the step differs a little."""
    folder, _ = run
    logs = [place / "grpo/log/metrics.jsonl" for place in (folder / "runs/test", finished)]
    two, one = (json.loads(log.read_text().splitlines()[0]) for log in logs)
    for name in ("accuracy", "reward", "zero_variance", "response_tokens"):
        assert two[name] == one[name], name
    assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-2)
    assert two["entropy"] == pytest.approx(one["entropy"], rel=1e-3)


def test_the_warned_sft_saved_its_step(run):
    folder, _ = run
    first, second, third = sorted(
        (folder / ".snakemake/slurm_logs/rule_distilled").rglob("*.log"), key=lambda log: int(log.stem)
    )
    saved = int(re.search(r"error: SIGUSR1: stopped after step (\d+) of \d+, which is saved", first.read_text())[1])
    assert f"distilled: step {saved + 1}/" in second.read_text() and "SIGUSR1" not in third.read_text()


def test_the_cancelled_sft_went_on(run):
    folder, said = run
    assert said.count("Trying to restart job") == 3
    steps = [
        json.loads(line)["step"] for line in (folder / "runs/test/distilled/log/metrics.jsonl").read_text().splitlines()
    ]
    made = json.loads((folder / "runs/test/distilled/checkpoint.json").read_text())
    assert (
        steps == list(range(1, made["steps"]["reached"] + 1)) and made["steps"]["reached"] == made["steps"]["planned"]
    )


def test_an_ordinary_stage_followed(run):
    folder, _ = run
    assert (folder / "runs/test/merged/alpha=0.30/checkpoint.json").exists()
