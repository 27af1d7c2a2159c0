"""verl's synchronous trainer, with the consensus sets: one writer, saved and resumed with each checkpoint.

Decisions are pure functions (core.py, step_metrics.py); this file only says when verl runs them.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from omegaconf import DictConfig
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync

from polaris.records import CONSENSUS, read_rows, write_rows
from small_rl.core import ConsensusSets, core_rewards
from small_rl.step_metrics import Trajectory, step_metrics

POLL = 0.05  # seconds between looks at finished rollouts; verl's 2.0 would double a laptop's step

# Our name of a metric -> verl's. `mismatch` is the KL of the rollout's from the actor's distribution.
CURVES = {
    "entropy": "actor/entropy",
    "clip_fraction": "actor/pg_clipfrac",
    "grad_norm": "actor/grad_norm",
    "mismatch": "rollout_corr/kl",
    "mismatch_max": "training/rollout_probs_diff_max",
}


class PolarisTrainer(PPOTrainerSync):
    """Gives the rewards (asked by verl_rollouts.py), and writes a line of metrics.jsonl after each update."""

    def __init__(self, config: DictConfig):
        super().__init__(config)
        self.curve = Path(config.polaris.metrics)
        self.core = config.polaris.get("core")
        self.sets = self._read_sets(Path(config.polaris.consensus)) if self.core else None
        self.start_sizes = self.sets.sizes() if self.core else {}
        self.numbers: dict[str, float] = {}
        self.clock = time.monotonic()

    def _build_replay_buffer(self):
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = POLL
        return buffer

    def on_train_begin(self) -> None:
        self.clock = time.monotonic()

    def reward(self, trajectories: Sequence[Trajectory]) -> list[float]:
        """Rewards of all trajectories of a step: CORE changes the consensus sets here and nowhere else."""
        rewards = [float(t.correct) for t in trajectories]
        if self.sets is not None:
            size = fmean(len(self.sets.of(problem)) for problem in {t.problem for t in trajectories})
            columns = zip(*((t.problem, t.correct, t.steps) for t in trajectories), strict=True)
            rewards = core_rewards(*columns, self.sets, self.start_sizes, self.core)
        self.numbers = step_metrics(trajectories, rewards)
        if self.sets is not None:
            self.numbers["consensus_size"] = size
        failures, allowed = self.numbers["grading_failures"], self.config.polaris.grading.max_failures
        if failures > allowed:
            raise RuntimeError(
                f"step {self.global_steps}: {failures:.1%} of the answers could not be graded (timeouts and crashes); "
                f"grading.max_failures is {allowed:.1%}"
            )
        return rewards

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        """verl's step, then its line in metrics.jsonl: written before the checkpoint that contains the step."""
        batch = super().step(metrics, timing_raw)
        now = time.monotonic()
        line = {"step": self.global_steps} | self.numbers
        line |= {ours: float(metrics[name]) for ours, name in CURVES.items() if name in metrics}
        line["seconds"] = now - self.clock  # since the last line: weight transfer and checkpoint included
        self.clock = now
        with self.curve.open("a") as file:
            file.write(json.dumps({key: round(value, 6) for key, value in line.items()}) + "\n")
        return batch

    def _read_sets(self, path: Path) -> ConsensusSets:
        return ConsensusSets.from_rows(read_rows(path, CONSENSUS), self.core.min_support)

    def _sets_file(self) -> Path:
        return Path(self.config.trainer.default_local_dir) / f"global_step_{self.global_steps}" / "consensus.parquet"

    def _save_checkpoint(self) -> None:
        """Our state first: verl ends with the tracker file that makes the checkpoint count."""
        if self.sets is not None:
            self._sets_file().parent.mkdir(parents=True, exist_ok=True)
            write_rows(self._sets_file(), self.sets.rows(), CONSENSUS)
        super()._save_checkpoint()

    def _load_checkpoint(self) -> None:
        """The sets as they were at the restored step (0: from scratch)."""
        super()._load_checkpoint()
        if self.sets is not None and self.global_steps:
            self.sets = self._read_sets(self._sets_file())
