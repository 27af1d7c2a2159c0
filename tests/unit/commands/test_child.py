"""A command's other process: its status, its environment, and Ctrl-C, which reaches it first."""

import os
import signal
import subprocess
import sys

from polaris.commands.alone.child import waited
from polaris.stage.code import ROOT


def test_its_status_and_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "another")
    code = "import os, pathlib; pathlib.Path('here').touch(); raise SystemExit(3 + ('SNAKEMAKE_PROFILE' in os.environ))"
    assert waited([sys.executable, "-c", code], tmp_path) == 3 and (tmp_path / "here").exists()


def test_ctrl_c_lets_it_finish_and_then_ends_both(tmp_path):
    """The other process takes its time to end, as Snakemake does."""
    other = (
        "import pathlib, signal, sys, time\n"
        "def end(*_): time.sleep(0.8); pathlib.Path('ended').touch(); sys.exit(130)\n"
        "signal.signal(signal.SIGINT, end); print('on', flush=True); time.sleep(60)\n"
    )
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from polaris.commands.alone.child import waited\nfrom polaris.stage import terminal\n"
        f"terminal.run(lambda: waited([sys.executable, '-c', {other!r}]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=-1, stderr=-1, text=True, start_new_session=True,
        env=environment,
    )  # fmt: skip
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1]
    assert (tmp_path / "ended").exists() and process.returncode == 130
    assert said == "error: stopped by Ctrl-C; the same command goes on\n"
