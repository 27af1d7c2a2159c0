"""Length penalty."""

from typing import Protocol


class Settings(Protocol):
    """What this file reads of small_rl.rl_settings.Overlong."""

    penalty: float
    buffer: int


def length_penalty(tokens: int, limit: int, settings: Settings) -> float:
    """The penalty to subtract from the reward: 0 up to limit - buffer tokens, then linear, `penalty` at the limit.

    Soft overlong punishment (DAPO, arXiv:2503.14476, equation 13) with buffer > 0; with buffer 0 the hard one: only a
    response that reached the limit pays.
    """
    over = tokens - (limit - settings.buffer)
    share = over / settings.buffer if settings.buffer else float(over >= 0)
    return settings.penalty * min(max(share, 0.0), 1.0)
