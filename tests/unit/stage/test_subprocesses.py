"""Engines as child processes: their end is told, and nothing of them stays."""

import os
import sys
import time

import psutil
import pytest

from polaris.stage import subprocesses
from polaris.stage.errors import UserError


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    """Not gone, and not a zombie that only waits for its reaper."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_output_goes_to_the_log_and_line_by_line_to_the_caller(tmp_path):
    lines = []
    subprocesses.run(python("print('a'); print('b')"), tmp_path / "log", {"X": "1"}, 30, lines.append)
    assert lines == ["a\n", "b\n"] and (tmp_path / "log").read_text() == "a\nb\n"


def test_a_failure_shows_the_end_of_the_log(tmp_path):
    with pytest.raises(UserError, match="(?s)status 3.*the reason"):
        subprocesses.run(python("import sys; print('the reason'); sys.exit(3)"), tmp_path / "log", {}, 30)


def test_the_first_line_of_a_failure_is_a_sentence_and_the_logs_colours_go(tmp_path):
    code = r"import sys; print('\x1b[36m(worker)\x1b[0m the reason\x1b[K'); sys.exit(3)"
    with pytest.raises(UserError) as failed:
        subprocesses.run(python(code), tmp_path / "log", {}, 30)
    first, last = str(failed.value).split("\n")
    assert first == f"the engine exited with status 3; read {tmp_path / 'log'}:" and last == "(worker) the reason"


@pytest.mark.slow
def test_a_hang_becomes_an_error_and_the_whole_group_is_gone(tmp_path):
    code = (
        "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']);"
        "print(c.pid, flush=True); time.sleep(99)"
    )
    pids = []
    with pytest.raises(UserError, match="timeout of 2 s"):
        subprocesses.run(python(code), tmp_path / "log", {}, 2, lambda line: pids.append(int(line)), grace=2)
    time.sleep(0.2)
    assert pids and not alive(pids[0])


@pytest.mark.slow
def test_a_stopped_process_is_no_way_around_the_limit(tmp_path):
    """SIGSTOP, as a stand-in for a process that answers nothing, not even SIGTERM."""
    code = "import os, signal; print(os.getpid(), flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
    pids = []
    with pytest.raises(UserError, match="stopped after its timeout of 2 s"):
        subprocesses.run(python(code), tmp_path / "log", {}, 2, lambda line: pids.append(int(line)), grace=1)
    assert pids and not alive(pids[0])


@pytest.mark.slow
def test_a_grandchild_that_keeps_the_pipe_open_does_not_hold_us(tmp_path):
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])"
    started = time.monotonic()
    subprocesses.run(python(code), tmp_path / "log", {}, 90, grace=1)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("says", ["", "print('x' * 999, flush=True)"])
def test_nor_does_one_in_another_session_and_the_last_words_are_kept(tmp_path, says):
    """It is stopped by nobody, silent or chattering, and we do not wait for it."""
    grandchild = f"import time\nfor _ in range(400):\n time.sleep(0.1)\n {says or 'pass'}"
    code = (
        f"import subprocess, sys; g = subprocess.Popen([sys.executable, '-c', {grandchild!r}], start_new_session=True);"
        "print(g.pid, flush=True); print('wörds ' * 9999 + 'and the last', end='', flush=True); sys.exit(3)"
    )
    lines, started = [], time.monotonic()
    try:
        with pytest.raises(UserError, match="status 3"):
            subprocesses.run(python(code), tmp_path / "log", {}, 90, lines.append, grace=1)
        assert time.monotonic() - started < 20
        assert any(line.startswith("wörds wörds") and "and the last" in line for line in lines)
        assert (tmp_path / "log").read_text() == "".join(lines)
    finally:
        os.kill(int(lines[0]), 9)


def test_every_kind_of_line_end_is_one(tmp_path):
    lines = []
    subprocesses.run(["printf", r"a\rb\r\nc\n\xff\nend"], tmp_path / "log", {}, 30, lines.append)
    assert lines == ["a\n", "b\n", "c\n", "\ufffd\n", "end"]


def test_the_child_dies_with_a_killed_parent(tmp_path):
    inner = f"print(__import__('os').getpid(), file=open({str(tmp_path / 'pid')!r}, 'w'), flush=True);"
    inner += "__import__('time').sleep(99)"
    outer = (
        "import sys, pathlib; from polaris.stage import subprocesses;"
        f"subprocesses.run([sys.executable, '-c', {inner!r}], pathlib.Path({str(tmp_path / 'log')!r}), {{}}, 99)"
    )
    pid = os.spawnv(os.P_NOWAIT, sys.executable, python(outer))
    for _ in range(100):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip():
            break
        time.sleep(0.1)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    time.sleep(0.5)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_commands_side_by_side(tmp_path):
    logs = [tmp_path / "a.log", tmp_path / "b.log"]
    looks = []
    commands = [["sh", "-c", f"sleep 0.3; echo $NAME {n}"] for n in range(2)]
    subprocesses.run_together(commands, logs, [{"NAME": "x"}, {"NAME": "y"}], lambda: looks.append(1), 0.05)
    assert [log.read_text() for log in logs] == ["x 0\n", "y 1\n"] and looks


def test_the_first_failure_stops_the_others(tmp_path):
    logs = [tmp_path / "a.log", tmp_path / "b.log"]
    commands = [["sh", "-c", "echo oh dear; exit 3"], ["sleep", "60"]]
    started = time.monotonic()
    with pytest.raises(UserError, match=r"(?s)status 3; .*a\.log:\noh dear"):
        subprocesses.run_together(commands, logs, [{}, {}], lambda: None, 0.05)
    assert time.monotonic() - started < 10
