"""Generation through the verb with a real tiny model: killed and continued, beside other requests."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from polaris.generation import answering
from polaris.stage import manifest
from polaris.stage.records import PROBLEMS, RESPONSES, read_rows
from tests.helpers.engine_process import engine_python
from tests.helpers.generation_run import COUNTS, MINUTES, SETTINGS, arguments, changed_model, make_inputs

pytest.importorskip("vllm")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def start(*args, python: str | None = None) -> subprocess.Popen:
    """The verb as a process group of its own."""
    command = [python or engine_python(), "-m", "polaris.generation.generate", *arguments(*args)]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen) -> str:
    _, said = process.communicate(timeout=MINUTES * 60)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def uninterrupted(inputs, tmp_path_factory) -> tuple[manifest.Manifest, str]:
    out = tmp_path_factory.mktemp("uninterrupted") / "data.json"
    said = finish(start(inputs, SETTINGS, out))
    return manifest.read(out), said


def rows_of(done: manifest.Manifest) -> list[dict]:
    return read_rows(done.file("responses.parquet"), RESPONSES)


def test_what_comes_out(inputs, uninterrupted):
    done, said = uninterrupted
    rows = rows_of(done)
    expected = [
        (name, row["id"], sample)
        for name in ("chain", "digits")
        for row in read_rows(inputs[name].parent / "problems.parquet", PROBLEMS)
        for sample in range(SETTINGS["k"][name])
    ]
    assert [(row["set"], row["problem_id"], row["sample"]) for row in rows] == expected
    assert all(1 <= row["tokens"] <= 64 and (row["tokens"] == 64 or row["finish_reason"] == "stop") for row in rows)
    assert len({row["response"] for row in rows[:40]}) > 30, "samples of one problem must differ"
    assert not any("<|im_end|>" in row["response"] for row in rows)
    for name, count in COUNTS.items():
        assert done.metrics["sets"][name]["responses"] == count * SETTINGS["k"][name]
    assert done.metrics["tokens_per_second"] > 0
    # The terminal shows progress and nothing of the engine, whose log is kept.
    assert "response 1080/1080" in said and "tokens/s" in said
    assert "INFO" not in said and "vLLM" not in said, said
    assert "Initializing a V1 LLM engine" in done.file("log/vllm.log").read_text()


def test_killed_and_continued_equals_uninterrupted(inputs, uninterrupted, tmp_path):
    out = tmp_path / "data.json"
    process = start(inputs, SETTINGS, out)
    deadline = time.monotonic() + MINUTES * 60
    while process.poll() is None and not list(tmp_path.glob("state/*/shard-*.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.poll() is None, f"it ended before the kill: {process.communicate()}"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = sum(len(read_rows(path, answering.SHARD)) for path in tmp_path.glob("state/*/shard-*.parquet"))
    assert 0 < kept < 1080 and not out.exists()

    said = finish(start(inputs, SETTINGS, out))
    assert f"{kept} of 1080 responses were already generated" in said
    done = manifest.read(out)
    assert rows_of(done) == rows_of(uninterrupted[0])
    assert not list(tmp_path.glob("state/*/shard-*")), "nothing resumable is left behind"


def test_a_response_does_not_depend_on_its_company(inputs, uninterrupted, tmp_path):
    settings = SETTINGS | {"k": {"digits": 3}, "engine": SETTINGS["engine"] | {"max_num_seqs": 4}}
    out = tmp_path / "data.json"
    finish(start(inputs, settings, out, ("digits",)))
    before = [row for row in rows_of(uninterrupted[0]) if row["set"] == "digits" and row["sample"] < 3]
    assert rows_of(manifest.read(out)) == before


def test_engines_side_by_side_give_the_same_and_fail_together(inputs, uninterrupted, tmp_path):
    """One of two engines is killed: the stage fails and leaves no process; the same command goes on."""
    settings = SETTINGS | {"k": {"digits": 10}, "engine": SETTINGS["engine"] | {"replicas": 2}}
    out = tmp_path / "data.json"
    process = start(inputs, settings, out, ("digits",), python=sys.executable)  # whose children are seen here
    deadline, engines = time.monotonic() + MINUTES * 60, []
    while len(engines) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
        engines = [
            one for one in psutil.Process(process.pid).children() if "polaris.generation.replicas" in one.cmdline()
        ]
    engines[1].kill()
    _, said = process.communicate(timeout=MINUTES * 60)
    assert process.returncode == 1 and "exited with status -9" in said and "vllm-1.log" in said
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in engines) and not out.exists()

    finish(start(inputs, settings, out, ("digits",)))
    assert rows_of(manifest.read(out)) == [row for row in rows_of(uninterrupted[0]) if row["set"] == "digits"]


def test_a_response_ends_with_every_token_that_the_model_says_ends_it(inputs, uninterrupted, tmp_path):
    """As gpt-oss, whose generation_config.json names <|return|>, <|endoftext|> and <|call|>: here 20 of 320 tokens
    more.
    """
    given = changed_model(
        inputs, tmp_path, "generation_config.json", lambda old: {"eos_token_id": [*range(60, 80), *old["eos_token_id"]]}
    )
    finish(start(given, SETTINGS | {"k": {"digits": 10}}, tmp_path / "out/data.json", ("digits",)))
    before, after = (
        one.metrics["sets"]["digits"] for one in (uninterrupted[0], manifest.read(tmp_path / "out/data.json"))
    )
    assert before["truncated"] > 0.3 and after["truncated"] < 0.1 and after["mean_tokens"] < before["mean_tokens"] / 2


# As Slurm's, but that both of its nodes are this machine.
SRUN = """#!/bin/sh
while [ "$1" != "--cpu-bind=none" ]; do shift; done; shift
for rank in 0 1; do SLURM_PROCID=$rank SLURMD_NODENAME=n$rank "$@" & done
wait %1 && wait %2
"""


def test_one_engine_on_two_nodes_gives_the_same(inputs, uninterrupted, tmp_path, monkeypatch):
    """Tensor parallel over processes that share nothing but the folder and a network, as vLLM's on two machines."""
    srun = tmp_path / "bin/srun"
    srun.parent.mkdir()
    srun.write_text(SRUN)
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}:{os.environ['PATH']}")
    for name, value in {"SLURM_JOB_ID": "17", "SLURM_JOB_NUM_NODES": "2"}.items():
        monkeypatch.setenv(name, value)
    settings = SETTINGS | {"k": {"digits": 10}, "engine": SETTINGS["engine"] | {"tensor_parallel_size": 2, "nodes": 2}}
    out = tmp_path / "out/data.json"
    finish(start(inputs, settings, out, ("digits",)))
    done = manifest.read(out)
    assert "world_size=2" in done.file("log/vllm-0.log").read_text()
    assert "rank=1" in done.file("log/vllm-0-node1.log").read_text()
    assert rows_of(done) == [row for row in rows_of(uninterrupted[0]) if row["set"] == "digits"]
