"""The running stages in a terminal: what is drawn, without a terminal and in a real one that Ctrl-C leaves."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from polaris.commands import watch
from polaris.stage.lock import take_lock
from polaris.stage.progress import Progress


@pytest.fixture
def run(tmp_path):
    """A run in which one stage trains and another is finished."""
    folder = tmp_path / "runs" / "small"
    for stage in ("core", "merged/alpha=0.30"):
        (folder / stage / "log").mkdir(parents=True)
        take_lock(folder / stage).close()
    (folder / "recipe.yaml").write_text("{}\n")
    lines = [{"step": step, "accuracy": step / 10, "reward": 0.5, "name": "x"} for step in (1, 2, 3)]
    log = folder / "core/log"
    (log / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "accu')
    (log / "alarms.jsonl").write_text('{"step": 2, "text": "old"}\n{"step": 3, "text": "too much \\u001b[2J paid"}\n')
    with take_lock(folder / "core"):
        yield folder


def watched(run, *words, **more):
    command = [sys.executable, "-m", "polaris.commands.cli", "watch", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=run.parent.parent, check=False, **more)


def test_a_curve_has_eight_heights_and_means_of_neighbours():
    assert watch.sparkline([0, 7, 3], watch.BLOCKS) == "▁█▄"
    assert watch.sparkline([5, 5], watch.BLOCKS) == "▁▁"
    assert watch.sparkline([0, 0, 1, 1, 7, 7], watch.BLOCKS, width=3) == "▁▂█"


def test_progress_is_what_the_stage_last_said(tmp_path):
    progress = Progress("core", 24, interval=0.0, file=tmp_path / "progress.json", out=io.StringIO())
    progress.update(2)
    progress.update(4, "accuracy 0.5")
    said = json.loads((tmp_path / "progress.json").read_text())
    assert (said["done"], said["total"], said["note"]) == (4, 24, "accuracy 0.5") and said["seconds"] > 0
    said |= {"seconds": 6.0, "at": 1000.0}
    assert watch.pace(said, 1030.0) == "step 4/24, 6.00 s/step, 1:30 left, the last 0:30 ago"
    assert watch.pace(said | {"seconds": None}, 1001.0) == "step 4/24, the last 0:01 ago"
    for odd in (None, {}, {"done": "x"}):
        assert watch.pace(odd, 0.0) == "no step yet"


@pytest.mark.slow
def test_without_a_terminal_it_prints_once(run):
    (run / "core/log/progress.json").write_text(
        json.dumps({"done": 3, "total": 8, "unit": "step", "seconds": 2.0, "at": time.time()})
    )
    done = watched(run, "small")
    assert done.returncode == 0 and done.stderr == ""
    assert "core: step 3/8, 2.00 s/step, 0:" in done.stdout and "alpha" not in done.stdout
    assert "▁▅█" in done.stdout and "0.3" in done.stdout and "\x1b" not in done.stdout
    assert "warning: too much \\x1b[2J paid" in done.stdout  # of the last alarm, and it rules no terminal
    assert max(map(len, done.stdout.splitlines())) <= 80
    plain = watched(run, str(run), env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert plain.returncode == 0 and "_+@" in plain.stdout


@pytest.mark.slow
def test_what_does_not_run_is_said_in_a_sentence(run, tmp_path):
    assert "--run other: there is no such run; in runs: small" in watched(run, "other").stderr
    idle = tmp_path / "runs" / "idle"
    (idle / "report").mkdir(parents=True)
    assert "nothing runs in" in watched(run, "idle").stdout
    (idle / "report/data.json").write_text("{}")
    assert "is finished: `polaris show`" in watched(run, "idle").stdout


@pytest.mark.slow
def test_ctrl_c_leaves_a_terminal_without_a_word(run):
    leader, follower = pty.openpty()
    # Wide enough for the folder's name in one line with the words that are waited for.
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "400", "LINES": "40"}
    # Whoever started the tests in the background had them, and what they start, ignore Ctrl-C.
    hearing = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    hearing += "import sys; os.execv(sys.argv[1], sys.argv[1:])"
    watch = [sys.executable, "-m", "polaris.commands.cli", "watch", str(run)]
    command = [sys.executable, "-c", hearing, *watch]
    child = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    shown, end = b"", time.monotonic() + 60
    while b"leaves it to itself" not in shown and time.monotonic() < end:
        if select.select([leader], [], [], 1.0)[0]:
            shown += os.read(leader, 65536)
    assert b"leaves it to itself" in shown
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == 0
    while select.select([leader], [], [], 0.2)[0]:
        try:
            shown += os.read(leader, 65536)
        except OSError:
            break
    os.close(leader)
    assert b"core" in shown and b"Traceback" not in shown and shown.rstrip().endswith(b"\x1b[?25h")
