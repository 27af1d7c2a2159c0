"""What the processes of a session share is made once, and nobody takes a failed one for whole."""

import multiprocessing
import time
from pathlib import Path

import pytest

from tests.conftest import LONGEST
from tests.helpers.once import once

TESTS = Path(__file__).parents[1]


def make(folder: Path) -> None:
    time.sleep(0.2)
    (folder / "made").write_text("whole")


def ask(folder: Path, answers) -> None:
    answers.put((once(folder, make) / "made").read_text())


def test_processes_that_ask_at_once_find_one_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    asking = [context.Process(target=ask, args=(tmp_path / "shared", answers)) for _ in range(3)]
    for process in asking:
        process.start()
    assert [answers.get(timeout=60) for _ in asking] == ["whole"] * 3  # a second mkdir would have failed
    for process in asking:
        process.join()
    assert once(tmp_path / "shared", make) == tmp_path / "shared"


def test_a_failure_is_told_to_the_one_who_tried_and_to_the_others(tmp_path):
    with pytest.raises(ZeroDivisionError):
        once(tmp_path / "shared", lambda folder: 1 / 0)
    with pytest.raises(RuntimeError, match="shared failed; the test that tried it says why"):
        once(tmp_path / "shared", make)


def test_the_files_that_begin_first_are_there():
    assert [file for file in LONGEST if not (TESTS / file).is_file()] == []
