"""What a model's trainer said of a few texts, against an engine that has loaded it: log-probabilities and experts.

The log-probabilities must agree within the precision. A mixture's experts may differ where two score alike: the share
of tokens with another set of experts in some layer is measured and refuses nothing.
"""

import json
from pathlib import Path
from typing import Any

from polaris.generation.settings import Engine
from polaris.models import canaries


def check(engine: Any, settings: Engine, model: Path, recorded: Path) -> float | None:
    """Share of tokens with other experts than the trainer's; None: no mixture, or the engine did not tell.

    engine: VllmEngine that runs. Raises UserError where it is not the trainer's model.
    """

    def cut(prompt: list[int], response: list[int]) -> list[int]:
        return [*prompt, *response][: min(canaries.TOKENS, settings.max_model_len - 1)]

    def said(prompt: list[int], response: list[int]) -> list[float]:
        return engine.log_probs([cut(prompt, response)])[0][len(prompt) - 1 :]

    canaries.check(recorded, canaries.ENGINE_LIMITS[settings.dtype], model, said)
    other = tokens = 0
    for row in json.loads(recorded.read_text()):
        if experts := row.get("experts"):
            engine.on_workers("record_experts")
            engine.log_probs([cut(row["prompt"], row["response"])])
            chosen = engine.on_workers("recorded_experts")[0]
            # What a layer's captured graph does on a GPU passes no Python: nothing is recorded then.
            pairs = list(zip(experts, chosen, strict=False))
            tokens += len(pairs)
            other += sum(canaries.differ(*pair) for pair in pairs)
    return other / tokens if tokens else None
