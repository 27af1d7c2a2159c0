"""What a response loses for its length, by hand."""

from types import SimpleNamespace

import pytest

from small_rl.reward.overlong import length_penalty


@pytest.mark.parametrize(
    ("tokens", "buffer", "penalty", "expected"),
    [
        # DAPO: max_response_length 20480, of them 4096 buffer, penalty 1
        (16384, 4096, 1.0, 0.0),
        (16385, 4096, 1.0, 1 / 4096),
        (18432, 4096, 1.0, 0.5),
        (20479, 4096, 1.0, 4095 / 4096),
        (20480, 4096, 1.0, 1.0),
        (3, 4096, 1.0, 0.0),
        (18432, 4096, 0.2, 0.1),
        # the whole length as buffer: every token costs
        (5120, 20480, 1.0, 0.25),
        # hard: only who reached the limit pays
        (20479, 0, 0.5, 0.0),
        (20480, 0, 0.5, 0.5),
    ],
)
def test_length_penalty(tokens, buffer, penalty, expected):
    settings = SimpleNamespace(penalty=penalty, buffer=buffer)
    assert length_penalty(tokens, 20480, settings) == pytest.approx(expected)
