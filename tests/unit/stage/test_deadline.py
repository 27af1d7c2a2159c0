"""A training stops by itself before its limit, and before its Slurm job ends."""

import math
import time

import pytest

from polaris.stage import deadline


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        ("0:07", 7),
        ("59:30", 3570),
        ("4:00:01", 14401),
        ("2-01:00:00", 49 * 3600),
        ("UNLIMITED", math.inf),
        ("", math.inf),
    ],
)
def test_squeues_time_left(left, seconds):
    assert deadline.parsed(left) == seconds


def test_the_nearer_end_counts(monkeypatch, tmp_path):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert deadline.seconds_left() == math.inf
    assert deadline.deadline(100.0) == pytest.approx(time.time() + 100, abs=5)
    squeue = tmp_path / "squeue"
    squeue.write_text('#!/bin/sh\ntest "$2" = --jobs=17 && echo 1:30\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert deadline.deadline(3600.0) == pytest.approx(time.time() + 90, abs=5)
    assert deadline.deadline(10.0) == pytest.approx(time.time() + 10, abs=5)
    squeue.unlink()
    assert deadline.seconds_left() == math.inf


@pytest.mark.parametrize(
    ("now", "longest", "due"), [(0.0, 40.0, False), (19.0, 40.0, False), (21.0, 40.0, True), (0.0, 51.0, True)]
)
def test_another_step_must_end_before_it(now, longest, due):
    assert deadline.is_due(100.0, now, longest) is due
