"""verl's updates from a store: `python -m small_rl.repeat.verl_repeat <overrides of ppo_trainer>`.

The trainer is the stage's own, and so are its rewards, rescue and substitution; the responses come from the store, and
no rollout engine is started.
"""

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig
from tensordict import TensorDict

from small_rl.repeat.stored import graded
from small_rl.rollouts.store import read_step
from small_rl.training import verl_batch
from small_rl.training.verl_config import polaris_settings
from small_rl.training.verl_main import drive
from small_rl.training.verl_trainer import PolarisTrainer


class RepeatingTrainer(PolarisTrainer):
    """The trainer of the stage, without an engine to which the weights would go."""

    _enable_hybrid_replicas = False  # verl's own word for it (trainer_base.py, _setup)

    def on_init_end(self) -> None:
        """verl's would send the weights to the engine."""

    def on_step_end(self) -> None:
        """As `on_init_end`."""


class StoredRollouts:
    """Takes the place of the rollouts: a step's responses as they were sampled and graded."""

    def __init__(self, store: Path, trainer: PolarisTrainer):
        self.store, self.trainer = store, trainer

    def generate_sequences(self, prompts: TensorDict) -> None:
        """Reward a step's stored responses; put the rows where verl's replay buffer finds them."""
        uids: list[str]
        uids, infos = ([getattr(item, "data", item) for item in prompts[name]] for name in ("uid", "extra_info"))
        step = int(prompts["global_steps"])
        groups = graded(read_step(self.store, step), uids, [str(info["index"]) for info in infos])
        verl_batch.put(step, uids, self.trainer.finish(groups), self.trainer.settings.masked_from)


def _parts(config: DictConfig) -> tuple[Any, Any]:
    trainer = RepeatingTrainer(config)  # pyright: ignore[reportAbstractUsage]  as in verl_main.py
    trainer.init()
    return trainer, StoredRollouts(Path(polaris_settings(config).repeated), trainer)


@hydra.main(config_path="pkg://verl.trainer.config", config_name="ppo_trainer", version_base=None)
def main(config: DictConfig) -> None:
    drive(config, _parts)


if __name__ == "__main__":
    main()
