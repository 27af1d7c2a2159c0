"""The last line on the screen is what went wrong and what to do, not Snakemake's echo of the command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import command, snakemake

# Tests in the background of a shell inherit that Ctrl-C is ignored.
HEARING = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.fixture
def checked(tmp_path) -> Path:
    """A folder in which the first job, which looks at the machine, is done."""
    (tmp_path / "runs/test").mkdir(parents=True)
    (tmp_path / "runs/test/preflight.txt").touch()
    return tmp_path


def test_a_job_that_fails(checked):
    lock = checked / "runs/test/problems/rl/state/lock"
    lock.parent.mkdir(parents=True)
    lock.symlink_to("/dev/null")
    done = snakemake(checked, "runs/test/problems/rl/data.json", "runs/test/problems/format/data.json", "--keep-going")
    *_, last = done.stdout.splitlines()
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert last == f"error: {lock}: this is a link to /dev/null, where a stage keeps a file or folder of its own; " + (
        "remove it and run it again"
    )
    assert (checked / "runs/test/problems/format/data.json").exists()
    assert not list((checked / ".snakemake").glob("errors*")), "nothing stays behind"


def test_ctrl_c(checked):
    target = checked / "runs/test/base_small/checkpoint.json"
    run = subprocess.Popen(
        [sys.executable, "-c", HEARING, *command(str(target.relative_to(checked)))], cwd=checked,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not target.with_name("new.partial").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=60)[0]
    assert run.returncode and "Traceback" not in said, said
    assert said.splitlines()[-1] == "error: stopped by Ctrl-C; the same command goes on"
    assert not target.exists()
