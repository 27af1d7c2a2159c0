"""How the tests start the project's Snakefile, and kill it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.helpers.engine_process import engine_python
from tests.helpers.stages import forked_ranks

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [str(ROOT / "configs/laptop.yaml"), str(ROOT / "configs/test.yaml")]
KILLED_STAGE = "core"
MINUTES = 25
# A run must not write these down (test_security.py).
SECRETS = {"HF_TOKEN": "hf_not4anyones7eyes", "AWS_SECRET_ACCESS_KEY": "aws+not4anyones7eyes"}


def command(*arguments: str, configs: list[str] = CONFIGS) -> list[str]:
    """Snakemake on the project's Snakefile, as `make run` starts it."""
    start = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", "--nolock"]
    return [*start, "--rerun-incomplete", *arguments, *(["--configfile", *configs] if configs else [])]


def snakemake(folder: Path, *arguments: str, configs: list[str] = CONFIGS, **kwargs) -> subprocess.CompletedProcess:
    """Run Snakemake in `folder`; stdout and stderr together in .stdout."""
    ranks = [] if "-n" in arguments else forked_ranks()
    return subprocess.run(
        [*ranks, engine_python(), *command(*arguments, configs=configs)[1:]],
        check=False,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MINUTES * 60,
        **kwargs,
    )


def listening(process: psutil.Process) -> list[tuple[str, str]]:
    """Names and addresses of the sockets on which a process or its descendants wait for others."""
    found = []
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [(one.name(), c.laddr.ip) for c in one.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    return sorted(set(found))


def kill_in_the_middle(folder: Path, log: Path, step: int, wait: float) -> None:
    """Start the run and SIGKILL it `wait` seconds into the step of the RL stage that follows `step`; nothing of it may
    stay.
    """
    metrics = folder / f"runs/test/{KILLED_STAGE}/log/metrics.jsonl"
    with log.open("w") as out:
        environment = {**os.environ, **SECRETS}
        run = subprocess.Popen(command(), cwd=folder, stdout=out, stderr=out, start_new_session=True, env=environment)
        deadline = time.monotonic() + MINUTES * 60
        while run.poll() is None and time.monotonic() < deadline:
            if metrics.exists() and metrics.read_text().count("\n") >= step:
                break  # the step has its line, so the one before it has its checkpoint
            time.sleep(0.2)
        time.sleep(wait)
        assert run.poll() is None, f"the run ended before the kill:\n{log.read_text()[-6000:]}"
        (folder / "sockets.json").write_text(json.dumps(listening(psutil.Process(run.pid))))
        processes = psutil.Process(run.pid).children(recursive=True)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert not (folder / f"runs/test/{KILLED_STAGE}/checkpoint.json").exists()
    _, left = psutil.wait_procs(processes, timeout=60)
    assert not left, f"still there after the kill: {left}"
