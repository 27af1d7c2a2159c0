"""A process forked from one that has imported its modules is, to whoever starts it, Python with a command line."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from polaris.forking.preload import forking_python

ROOT = Path(__file__).parents[3]
MODULES = ("colorsys",)  # small, and imported by nothing else here


@contextlib.contextmanager
def short_folder():
    """For a socket, whose path may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="fork-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    with (
        short_folder() as folder,
        forking_python(folder, tmp_path_factory.mktemp("log") / "preload.log", {}, MODULES) as path,
    ):
        yield path


def script(folder: Path, code: str) -> str:
    (folder / "script.py").write_text(code)
    return str(folder / "script.py")


def ran(command: list[str], **more) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


def until(condition, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def test_a_script_has_its_modules_arguments_folder_environment_and_input(python, tmp_path):
    code = (
        "import os, sys\nprint('colorsys' in sys.modules, sys.argv, os.getcwd(), os.environ.get('GIVEN'), input())\n"
        "print('also here', file=sys.stderr)"
    )
    env = {key: value for key, value in os.environ.items() if key != "HOME"} | {"GIVEN": "so"}
    done = ran([python, script(tmp_path, code), "one", "two words"], cwd=tmp_path, env=env, input="typed\n")
    assert done.stdout == f"True ['{tmp_path}/script.py', 'one', 'two words'] {tmp_path} so typed\n"
    assert done.stderr == "also here\n"
    assert done.returncode == 0


def test_a_script_and_a_module_are_main_and_find_what_lies_beside_them(python, tmp_path):
    (tmp_path / "beside.py").write_text("HERE = 'beside'")
    code = "import sys, beside\nprint(__name__, beside.HERE, sys.argv[1:])"
    assert ran([python, script(tmp_path, code), "a"]).stdout == "__main__ beside ['a']\n"
    (tmp_path / "data.json").write_text('{"a": [1]}')
    assert ran([python, "-m", "json.tool", "--compact", str(tmp_path / "data.json")]).stdout == '{"a":[1]}\n'


@pytest.mark.parametrize(
    ("code", "status"),
    [("import sys; sys.exit(7)", 7), ("1 / 0", 1), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_ends_as_the_process_ends(python, tmp_path, code, status):
    done = ran([python, script(tmp_path, code)])
    assert done.returncode == status
    assert ("ZeroDivisionError" in done.stderr) == (status == 1)


def test_what_registered_for_the_end_is_called_and_threads_are_awaited(python, tmp_path):
    code = (
        "import atexit, threading, time\natexit.register(print, 'last')\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()"
    )
    assert ran([python, script(tmp_path, code)]).stdout == "thread\nlast\n"


def test_multiprocessing_starts_its_processes_so_too(python, tmp_path):
    (tmp_path / "job.py").write_text("def double(x):\n    import sys\n    return 2 * x, 'colorsys' in sys.modules\n")
    code = (
        "import multiprocessing, job\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        print(pool.map(job.double, [1, 2]))\n"
    )
    done = ran([python, script(tmp_path, code)])
    assert done.stdout == "[(2, True), (4, True)]\n", done.stderr


def sleeper(python: str, folder: Path, say: str = "", **more) -> tuple[subprocess.Popen, int]:
    """A process that sleeps, and the number of the one that does."""
    code = f"import os, signal, time\n{say}\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    asked = subprocess.Popen([python, script(folder, code)], stdout=subprocess.PIPE, text=True, **more)
    assert asked.stdout
    pid = int(asked.stdout.readline())
    assert until(lambda: ignored(asked.pid) >> (signal.SIGINT - 1) & 1)  # it knows of the process by now
    return asked, pid


def ignored(pid: int) -> int:
    """The signals that a process ignores, as bits."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("SigIgn")).split()[1], 16)


def test_a_signal_reaches_the_process(python, tmp_path):
    asked, pid = sleeper(python, tmp_path, "signal.signal(signal.SIGTERM, lambda *_: os._exit(5))")
    assert pid != asked.pid
    assert os.getpgid(pid) == os.getpgid(asked.pid)
    asked.terminate()
    assert asked.wait(20) == 5
    assert not alive(pid)


def test_a_signal_that_is_blocked_waits_in_the_process(python, tmp_path):
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGUSR1)\nprint(signal.sigpending())"
    blocking = lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    done = ran([python, script(tmp_path, code)], preexec_fn=blocking)
    assert done.stdout == f"{ {signal.SIGUSR1} }\n"

    say = "signal.signal(signal.SIGUSR1, lambda *_: os._exit(5))\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, {10})"
    asked, pid = sleeper(python, tmp_path, say, preexec_fn=blocking)
    asked.send_signal(signal.SIGUSR1)
    assert asked.wait(20) == 5 and not alive(pid)


def test_a_kill_takes_the_process_along(python, tmp_path):
    asked, pid = sleeper(python, tmp_path)
    asked.kill()
    asked.wait()
    assert until(lambda: not alive(pid))
    assert ran([python, script(tmp_path, "print('the next')")]).stdout == "the next\n"


def test_a_script_may_be_unbuffered(python, tmp_path):
    code = "import sys\nprint(sys.stdout.line_buffering, sys.argv[1:])"
    assert ran([python, "-u", script(tmp_path, code), "-m"]).stdout == "True ['-m']\n"


def test_a_library_may_be_left_out(tmp_path):
    """It is missing for what is imported before, and a forked process has it."""
    (tmp_path / "wants.py").write_text("try:\n    import colorsys\nexcept ImportError:\n    colorsys = None\n")
    code = "import sys, wants\nprint(wants.colorsys, 'colorsys' in sys.modules)\nimport colorsys\nprint('there')"
    modules = ["!colorsys", "wants"]
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    with short_folder() as folder, forking_python(folder, tmp_path / "preload.log", env, modules) as python:
        assert ran([python, script(tmp_path, code)]).stdout == "None False\nthere\n"


def test_what_a_library_would_clear_at_its_end_is_left_to_the_end_of_the_process(tmp_path):
    (tmp_path / "clears.py").write_text(
        "import weakref\nclass One: ...\nONE = One()\nweakref.finalize(ONE, print, 'cleared', flush=True)\n"
    )
    code = "import clears, weakref\nweakref.finalize(clears.One, print, 'own', flush=True)\nprint('ran', flush=True)"
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    with short_folder() as folder, forking_python(folder, tmp_path / "preload.log", env, ["clears"]) as python:
        assert ran([python, script(tmp_path, code)]).stdout == "ran\nown\n"


def test_a_forked_process_has_forks_of_its_own(python, tmp_path):
    """They begin with its modules, have more, and end with it, while the first ones go on."""
    with short_folder() as folder:
        code = (
            "import os, subprocess, sys, time\nfrom pathlib import Path\n"
            f"sys.path.insert(0, {str(ROOT)!r})\nfrom polaris.forking.preload import forking_python\n"
            f"with forking_python(Path({str(folder)!r}), Path({str(tmp_path)!r}) / 'log', {{}}, ['chunk']) as python:\n"
            "    print(python, flush=True)\n    time.sleep(60)\n"
        )
        outer = subprocess.Popen([python, script(tmp_path, code)], stdout=subprocess.PIPE, text=True)
        inner = outer.stdout.readline().strip()
        asked = "import sys\nprint('colorsys' in sys.modules, 'chunk' in sys.modules)"
        (tmp_path / "inner.py").write_text(asked)
        assert ran([inner, str(tmp_path / "inner.py")]).stdout == "True True\n"
        sleeping, pid = sleeper(inner, tmp_path)
        outer.kill()
        assert until(lambda: not alive(pid)) and sleeping.wait(20) == 1
    assert ran([python, str(tmp_path / "inner.py")]).stdout == "True False\n"


def test_whoever_asks_may_be_gone_before_the_answer(python, tmp_path):
    address = str(Path(python).with_name("fork"))
    for said in (b"", b"\0\0", b"\0\0\0\x09{"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            connection.sendall(said)
    for _ in range(20):
        subprocess.Popen([python, script(tmp_path, "print('early')")], stdout=subprocess.DEVNULL).kill()
    assert ran([python, script(tmp_path, "print('still there')")]).stdout == "still there\n"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_block_or_the_process_that_is_forked(tmp_path, end):
    with short_folder() as folder, forking_python(folder, tmp_path / "preload.log", {}, MODULES) as python:
        asked, pid = sleeper(python, tmp_path)
        forked = int(Path(f"/proc/{pid}/stat").read_text().split()[3])
        os.kill(forked, end)
        assert until(lambda: not alive(pid))
        assert asked.wait(20) == 1


def test_a_module_that_fails_leaves_whoever_asks_a_plain_python(tmp_path):
    with short_folder() as folder, forking_python(folder, tmp_path / "preload.log", {}, ["no_such_module"]) as python:
        done = ran([python, script(tmp_path, "import sys; print('colorsys' in sys.modules, sys.argv[1:])"), "given"])
    assert done.stdout == "False ['given']\n"
    assert "this one imports for itself" in done.stderr
    assert "no_such_module" in (tmp_path / "preload.log").read_text()


def test_with_other_threads_a_process_imports_for_itself(python, tmp_path):
    code = "import os, sys\nprint('colorsys' in sys.modules, os.environ['OMP_NUM_THREADS'])"
    for threads, forked in (("1", True), ("2", False)):
        done = ran([python, script(tmp_path, code)], env=os.environ | {"OMP_NUM_THREADS": threads})
        assert done.stdout == f"{forked} {threads}\n"


def test_a_module_is_found_where_whoever_asks_is(python, tmp_path):
    (tmp_path / "only_here.py").write_text("print('found')")
    assert ran([python, "-m", "only_here"], cwd=tmp_path).stdout == "found\n"


def test_an_interrupt_of_the_terminal_comes_once(python, tmp_path):
    seen = "signal.signal(signal.SIGINT, lambda *_: os.write(1, b'seen\\n'))"
    asked, pid = sleeper(python, tmp_path, seen)
    for one in (pid, asked.pid):
        os.kill(one, signal.SIGINT)
    assert asked.stdout.readline() == "seen\n"
    asked.terminate()
    assert asked.stdout.read() == "" and asked.wait(20) == 143


def test_its_streams_are_new(python, tmp_path):
    code = (
        "import sys\nsys.stdout.reconfigure(errors='backslashreplace')\nprint('out', sys.stdout.line_buffering)\n"
        "print(sys.stderr.errors, sys.__stderr__ is sys.stderr, file=sys.stderr)"
    )
    with (tmp_path / "out").open("a") as out:
        out.write("before\n")
        out.flush()
        done = subprocess.run([python, script(tmp_path, code)], stdout=out, stderr=subprocess.PIPE, text=True,
                              env={key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"},
                              check=True)  # fmt: skip
    assert (tmp_path / "out").read_text() == "before\nout False\n"
    assert done.stderr == "backslashreplace True\n"


def test_only_its_user_may_ask(python):
    assert stat.S_IMODE(Path(python).with_name("fork").stat().st_mode) == 0o600


def test_no_code_of_ours_is_older_than_the_process_that_runs_it(python, tmp_path):
    """A run lasts for hours, and the code of its later stages may change meanwhile."""
    code = "import sys\nprint(sorted(name for name in sys.modules if name.startswith('polaris')))"
    loaded = ran([python, script(tmp_path, code)]).stdout
    assert loaded == "['polaris', 'polaris.forking', 'polaris.forking.forked']\n"


def test_nothing_is_left_when_whoever_started_it_is_killed(tmp_path):
    with short_folder() as folder:
        code = (
            "import sys, time\nfrom pathlib import Path\nfrom polaris.forking.preload import forking_python\n"
            f"inside = Path({str(folder)!r}) / 'inside'\ninside.mkdir()\n"
            f"with forking_python(inside, Path({str(tmp_path)!r}) / 'preload.log', {{}}, ['colorsys']) as python:\n"
            "    print(python, flush=True)\n    time.sleep(60)\n"
        )
        started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        python = started.stdout.readline().strip()
        asked, pid = sleeper(python, tmp_path)
        started.kill()
        assert until(lambda: not alive(pid) and not list(folder.iterdir()))
        assert asked.wait(20) == 1
