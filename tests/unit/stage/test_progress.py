"""Progress lines: steps, rate and time left, not too many of them."""

import io
import re

import pytest

from polaris.stage.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7, "0:07"), (59.6, "1:00"), (750, "12:30"), (3 * 3600 + 300, "3:05:00"), (9 * 86400 + 4 * 3600, "9 d 4:00:00")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_lines_are_rare_but_the_last_step_is_always_told(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("polaris.stage.progress.time.monotonic", lambda: clock[0])
    out = io.StringIO()
    progress = Progress("grpo", 100, out=out, interval=10)
    for step in range(20, 101):
        progress.update(step, "accuracy 0.50")
        clock[0] += 1
    lines = out.getvalue().splitlines()
    assert len(lines) == 8
    assert lines[0] == "grpo: step 30/100  1.00 s/step  1:10 left  accuracy 0.50"
    assert re.fullmatch(r"grpo: step 100/100  1.00 s/step  accuracy 0.50", lines[-1])
