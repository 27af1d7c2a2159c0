"""The exported model is the trained one: its tensors bit for bit, its log-probabilities within the precision.

The log-probabilities before the export are the actor's, computed by verl in the training's precision (verl_batch.py);
those after it are computed by transformers from the published files. A fault in between (cast, names, configuration)
shows as a difference.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polaris.models import canaries
from polaris.models.checkpoint import read_checkpoint
from polaris.stage.errors import UserError
from small_rl.training import verl_checkpoint

LOG_PROBS = "log_probs.json"  # in the folder of the last checkpoint


def export(checkpoint: Path, start: Path, precision: str, device: str, out: Path) -> tuple[float, list[dict[str, Any]]]:
    """Export a stage's last checkpoint, read it back and compare.

    Returns the deviation of `check_log_probs`, and the model's canaries (polaris/models/canaries.py).
    """
    trained = checkpoint / verl_checkpoint.WEIGHTS_FOLDER
    verl_checkpoint.export(trained, start, precision, out)
    check_tensors(trained, out)
    model = _loaded(out, device)
    deviation = check_log_probs(model, out, checkpoint / LOG_PROBS, precision)
    rows = json.loads((checkpoint / LOG_PROBS).read_text())
    return deviation, [row | {"precision": precision} | _experts(model, row) for row in rows]


def check_tensors(trained: Path, exported: Path) -> None:
    """Read the export back, a tensor at a time: each must be the trained one, cast, and finite.

    Raises UserError with the name of the first that is not.
    """
    import torch

    for (name, before), (_, after) in zip(_tensors(trained), _tensors(exported), strict=True):
        if not torch.isfinite(after).all():
            raise UserError(f"{exported}: tensor {name} has numbers that {after.dtype} cannot hold, or NaN")
        if not torch.equal(before.to(after.dtype), after):
            raise UserError(f"{exported}: tensor {name} is not the trained one of {trained}; run the stage again")


def _tensors(model: Path) -> Iterator[tuple[str, Any]]:
    """All tensors of a model folder, by shard and name."""
    from safetensors import safe_open

    for shard in read_checkpoint(model).shards:
        with safe_open(shard.path, "pt") as file:
            yield from ((name, file.get_tensor(name)) for name in sorted(file.keys()))


def _loaded(exported: Path, device: str) -> Any:
    """The exported model in transformers, in float32."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model: Any = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32)
    return model.eval().to(device)


def check_log_probs(model: Any, exported: Path, recorded: Path, precision: str) -> float:
    """Largest mean deviation of a row, exported model against `recorded` (rows of
    small_rl.training.verl_batch.log_probs, as JSON).

    model: the exported one in transformers. Raises UserError with the first row beyond the precision's limit.
    """
    import torch

    def log_probs(prompt: list[int], response: list[int]) -> list[float]:
        tokens_T = torch.tensor([[*prompt, *response]], device=model.device)
        with torch.inference_mode():
            logits_TV = model(tokens_T).logits[0, len(prompt) - 1 : -1].float()
        chosen_T = tokens_T[0, len(prompt) :]
        return logits_TV.log_softmax(-1).gather(-1, chosen_T[:, None])[:, 0].tolist()

    return canaries.check(recorded, canaries.LIMITS[precision], exported, log_probs)


def _experts(model: Any, row: dict[str, Any]) -> dict[str, Any]:
    """A mixture's experts for each token of a row, by layer: {"experts": [T, layers, chosen]}; {} for a dense model."""
    import torch

    if not getattr(model.config, "num_experts", 0):
        return {}
    tokens_T = torch.tensor([[*row["prompt"], *row["response"]][: canaries.TOKENS]], device=model.device)
    with torch.inference_mode():
        logits = model(tokens_T, output_router_logits=True).router_logits
    chosen = [layer_TE.topk(model.config.num_experts_per_tok).indices for layer_TE in logits]
    return {"experts": torch.stack(chosen, dim=1).tolist()}
