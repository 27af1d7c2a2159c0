"""What reaches the terminal: no control characters, and one sentence instead of a traceback."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.commands import cli
from polaris.stage import terminal
from polaris.stage.errors import UserError
from polaris.stage.progress import Progress
from polaris.stage.terminal import explained, printable, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb\x07", "a\\x1b[2Jb\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
        ("a\rb\u2028c", "a\\rb\\u2028c"),
        ("line\n\tnext – 数学 π 😀 e\u0301 \xa0", "line\n\tnext – 数学 π 😀 e\u0301 \xa0"),
    ],
)
def test_control_characters_are_shown_as_escapes(text, shown):
    assert printable(text) == shown


def test_every_print_of_a_stage_goes_through_it(capsys):
    Progress("x\x1b[1m", 1).update(1, "note\x07")
    terminal.say("\n".join(table([["id"], ["a\x1bc\nb"]])), sys.stderr)
    said = capsys.readouterr().err
    assert "x\\x1b[1m: step 1/1  note\\x07" in said and "a\\x1bc\\nb\n" in said


def failed(error: BaseException, capsys) -> tuple[int, str]:
    """Exit status and stderr of a command that ends with an error."""

    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        terminal.run(main)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (UserError("a.json: row 3: \x1b[2J"), 1, "a.json: row 3: \\x1b[2J"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C; the same command goes on"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/a"), 1, "/x/a: No space left on device; make room there"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device; make room there"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 1, "No space left on device; make room"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 1, "/x: Read-only file system; choose a place that can"),
        (OSError(errno.ENOENT, "No such file or directory", "/x"), 1, "/x: No such file or directory; it was moved,"),
        (
            OSError(errno.EACCES, "Permission denied", "/proc/1/x"),
            1,
            "/proc/1/x: Permission denied; it belongs to root",
        ),
        # As pyarrow and safetensors raise them: the path is in the text alone.
        (FileNotFoundError("/x/a.parquet"), 1, "/x/a.parquet: No such file or directory; it was moved,"),
        (
            FileNotFoundError(2, "Failed to open local file '/x'. Detail: [errno 2] No such file or directory"),
            1,
            "Failed to open local file '/x'. Detail: [errno 2] No such file or directory; it was moved,",
        ),
        (OSError(errno.ENOSPC, "Error writing bytes to file"), 1, "No space left on device; make room there"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", b"/x"), 1, "/x: Is a directory"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(error, status, sentence, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(terminal.ERRORS, str(tmp_path / "errors"))
    code, said = failed(error, capsys)
    assert code == status and said.startswith(f"error: {sentence}") and said.count("\n") == 1
    assert said == f"error: {(tmp_path / 'errors').read_text()}", "the workflow says it once more, last"


def test_only_the_first_line_of_an_error_is_said_again(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(terminal.ERRORS, str(tmp_path / "errors"))
    failed(UserError("the engine exited with status 1; its log x ends so:\nline\nline"), capsys)
    assert (tmp_path / "errors").read_text() == "the engine exited with status 1; its log x ends so\n"


@pytest.mark.parametrize("error", [RuntimeError("ours"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")])
def test_a_fault_of_the_code_keeps_its_traceback(error):
    assert explained(error) is None
    with pytest.raises(type(error)):
        terminal.run(lambda: (_ for _ in ()).throw(error))


def command(code: str) -> list[str]:
    return [sys.executable, "-c", f"from polaris.stage import terminal\n{code}"]


def test_a_reader_that_ends_early():
    """polaris show | head -1"""
    code = "terminal.run(lambda: [print('line') for _ in range(99999)])"
    script = f'set -o pipefail; {sys.executable} -c "from polaris.stage import terminal; {code}" | head -1'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("line\n", 141)
    assert done.stderr == ""


def test_a_full_disk_behind_the_output():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("terminal.run(lambda: print('x'))"), stdout=full, stderr=-1, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "error: No space left on device; make room there and run it again\n")


def test_ctrl_c():
    # The handler is set, as tests in the background of a shell inherit that Ctrl-C is ignored.
    code = "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "terminal.run(lambda: (print('on', flush=True), time.sleep(60)))"
    process = subprocess.Popen(command(code), stdout=-1, stderr=-1, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert (process.returncode, said) == (130, "error: stopped by Ctrl-C; the same command goes on\n")


def test_a_terminal_that_is_not_utf_8_shows_what_it_can():
    done = subprocess.run(
        command("terminal.run(lambda: print('5 – 数'))"), capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"5 \\u2013 \\u6570\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["show", "--configfile", "missing.yaml"], "missing.yaml: there is no such recipe file"),
        (["status", "--configfile", "missing.yaml"], "missing.yaml: there is no such recipe file"),
        (["pin", "folder"], "folder: Is a directory"),
        (["publish", "core", "--configfile", "missing.yaml", "--to", "x", "--license", "mit"], "missing.yaml: there"),
    ],
)
def test_commands_end_in_one_sentence(tmp_path, monkeypatch, capsys, words, sentence):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["polaris", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == 1 and said.startswith(f"error: {sentence}") and said.count("\n") == 1
