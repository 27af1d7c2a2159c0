"""The loss scale of FP16 training, saved with verl's checkpoints.

verl 0.9.1's FSDP engine scales the loss of an FP16 actor (ShardedGradScaler), and leaves the scale out of its
checkpoints: a resumed training would begin at 65536 again, and skip updates until the scale fits. Loaded by verl as
`actor_rollout_ref.model.external_lib`.
"""

import json
from pathlib import Path

import torch
from verl.utils.device import get_vendor
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

NAME = "scaler.json"


def write(scaler: torch.amp.GradScaler, folder: Path) -> None:
    """The scaler's numbers (none where it is off, as on a CPU)."""
    (folder / NAME).write_text(json.dumps(scaler.state_dict()) + "\n")


def read(scaler: torch.amp.GradScaler, folder: Path) -> None:
    """Give a new scaler the numbers of a checkpoint."""
    if state := json.loads((folder / NAME).read_text()):
        scaler.load_state_dict(state)


# An engine for this vendor goes before verl's own, which is for any.
@EngineRegistry.register(model_type="language_model", backend=["fsdp2"], device="cuda", vendor=get_vendor())
class ScaledEngine(FSDPEngineWithLMHead):
    """verl's engine; every rank has the same scale, so the first one writes it."""

    scaler: torch.amp.GradScaler | None  # both set by verl's engine
    rank: int

    def save_checkpoint(self, local_path: str, *args, **kwargs) -> None:
        super().save_checkpoint(local_path, *args, **kwargs)
        if self.scaler is not None and self.rank == 0:
            write(self.scaler, Path(local_path))

    def load_checkpoint(self, local_path: str, *args, **kwargs) -> None:
        super().load_checkpoint(local_path, *args, **kwargs)
        if self.scaler is not None:
            read(self.scaler, Path(local_path))
