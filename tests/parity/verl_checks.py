"""Run by test_verl.py in a process of its own: VERL_PLATFORM must be set before verl is imported, and stays set."""

import json
import sys
from pathlib import Path

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from transformers import AutoTokenizer
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset


def examples(model: str, data: str) -> list[dict]:
    """verl's own tokens and loss masks of messages.parquet; an error where verl refuses an example."""
    dataset = MultiTurnSFTDataset(
        data, AutoTokenizer.from_pretrained(model), OmegaConf.create({"pad_mode": "no_padding"})
    )
    found = []
    for i in range(len(dataset)):
        try:
            row = dataset[i]
            found.append({"input_ids": row["input_ids"].tolist(), "loss_mask": row["loss_mask"].tolist()})
        except AssertionError as error:
            found.append({"error": str(error)})
    return found


def dataclasses(overrides: list[str]) -> list[str]:
    """Builds verl's dataclasses of the parts that take keys with a plus; a field that verl does not know raises."""
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", overrides=overrides)
    parts = [config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout, config.algorithm]
    return [type(omega_conf_to_dataclass(part)).__name__ for part in parts]


if __name__ == "__main__":
    request = json.loads(sys.stdin.read())
    answer = {"examples": [examples(*pair) for pair in request["examples"]]}
    answer["dataclasses"] = [dataclasses(overrides) for overrides in request["overrides"]]
    Path(sys.argv[1]).write_text(json.dumps(answer))
