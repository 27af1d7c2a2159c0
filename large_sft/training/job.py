"""What a training's stage asks of its ranks."""

from dataclasses import dataclass
from typing import Any

STOP = "stop"  # file in Job.state: the training is to end after the step at hand


@dataclass(frozen=True)
class Job:
    """What the verb asks for.

    settings: the verb's section as plain values; start: model directory; tokens: tokens.parquet; state: folder of the
    checkpoints and of the request to stop; out: model directory to write; metrics: one JSON line per step
    """

    settings: dict[str, Any]
    start: str
    tokens: str
    state: str
    out: str
    metrics: str
