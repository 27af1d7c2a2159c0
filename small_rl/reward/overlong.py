"""What a response loses for its length."""

from typing import Protocol


class Settings(Protocol):
    """What this file reads of small_rl.rl_settings.Overlong."""

    penalty: float
    buffer: int


def length_penalty(tokens: int, limit: int, settings: Settings) -> float:
    """0 up to limit - buffer tokens, then rising in proportion, `penalty` at the limit: taken off the reward.

    Soft overlong punishment (DAPO, arXiv:2503.14476, equation 13) with buffer > 0; with buffer 0 the hard one: only a
    response that reached the limit pays.
    """
    over = tokens - (limit - settings.buffer)
    share = over / settings.buffer if settings.buffer else float(over >= 0)
    return settings.penalty * min(max(share, 0.0), 1.0)
