"""Canary texts of a model: some token ids, and the log-probabilities that its trainer gave them, in canaries.json.

Whoever reads the weights, an engine or a conversion, must find the same within the precision.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from polaris.stage.errors import UserError

NAME = "canaries.json"  # beside the model's folder
ROWS = 4
TOKENS = 512  # of each, prompt included: what comes later changes nothing before it
# Largest mean |difference| of a row's log-probabilities: several times what rounding of weights and activations makes.
LIMITS = {"fp32": 1e-4, "fp16": 0.02, "bf16": 0.05}
# vLLM calls torch's log_softmax in float32, which on a CPU is 1e-4 off on average over a vocabulary of 152K (measured).
ENGINE_LIMITS = {"float32": 1e-3, "float16": LIMITS["fp16"], "bfloat16": LIMITS["bf16"]}


def check(
    recorded: Path, limit: float, model: Path, log_probs: Callable[[list[int], list[int]], Sequence[float]]
) -> float:
    """Largest mean difference of a row, here against `recorded`: rows of `prompt`, `response` (token ids) and
    `log_probs` (of the response), as JSON.

    A row's `precision`, that of the trainer, may allow more than `limit`, that of who asks here.
    log_probs: of the response's tokens, as many as fit into TOKENS with the prompt. Raises UserError with the first row
    beyond the limit.
    """
    worst = 0.0
    for number, row in enumerate(json.loads(recorded.read_text())):
        allowed = max(limit, LIMITS[row.get("precision", "fp32")])
        response = row["response"][: max(TOKENS - len(row["prompt"]), 1)]
        after = log_probs(row["prompt"], response) if response else []
        pairs = list(zip(after, row["log_probs"], strict=False))
        deviation = sum(abs(one - other) for one, other in pairs) / max(len(pairs), 1)
        if not deviation <= allowed:  # NaN is no agreement
            raise UserError(
                f"{model}: the log-probabilities of row {number} of {recorded.name} are {deviation:.2g} a token away "
                f"from the trainer's ({allowed:g} is allowed): this is not the model that was trained"
            )
        worst = max(worst, deviation)
    return worst


def differ(one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> bool:
    """Whether a token has another set of experts in any layer. one, other: experts by layer, in any order."""
    return any(set(left) != set(right) for left, right in zip(one, other, strict=True))
