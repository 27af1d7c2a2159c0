"""verl's synchronous trainer with our training state (consensus sets, rescue buffer), saved in each checkpoint.

Decisions are pure functions (rl_step.py); this file says when verl runs them. The trainer alone changes the state.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from omegaconf import DictConfig
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync, trainer_base

from polaris.models import canaries
from polaris.stage.deadline import is_due
from polaris.stage.records import CONSENSUS, RESCUE_BUFFER, read_rows, write_rows
from small_rl.reward.core import ConsensusSets
from small_rl.reward.rescue import RescueBuffer
from small_rl.reward.rl_step import FinishedStep, Rollout, TrainingState, accuracies, check_graded, finished
from small_rl.reward.step_metrics import outcome_metrics
from small_rl.rollouts import alarm, updates
from small_rl.rollouts.curve import Curve, append
from small_rl.rollouts.store import Counts, RolloutStore
from small_rl.teachers.teaching import teaching_metrics, without_golds
from small_rl.teachers.verl_teachers import Teachers
from small_rl.training import verl_batch
from small_rl.training.export_gate import LOG_PROBS
from small_rl.training.verl_checkpoint import WEIGHTS_FOLDER
from small_rl.training.verl_config import polaris_settings
from small_rl.training.verl_server import GroupServers

RESCUE_FILE = "sink.parquet"  # in a checkpoint; the name that a training of an earlier version resumes from
POLL = 0.05  # seconds between looks at finished rollouts; verl's 2.0 would double a laptop's step

# Our name of a metric -> verl's. `mismatch` is the KL of the rollout's from the actor's distribution. The last two are
# of the teacher's likeliest tokens: their probability, and the share of them that are the student's likeliest, too.
CURVES = {
    "entropy": "actor/entropy",
    "clip_fraction": "actor/pg_clipfrac",
    "grad_norm": "actor/grad_norm",
    "mismatch": "rollout_corr/kl",
    "mismatch_max": "training/rollout_probs_diff_max",
    "distillation_loss": "actor/distillation/loss",
    "teacher_mass": "actor/distillation/teacher_mass",
    "overlap": "actor/distillation/overlap_ratio",
}

# The same of what the store keeps of an update, not rounded.
EXACT = (("loss", "actor/pg_loss"), ("grad_norm", "actor/grad_norm"))


class OutOfTime(Exception):
    """The current step is saved, and the deadline leaves no time for another one."""


class PolarisTrainer(PPOTrainerSync):
    """Rewards a step's groups (called by verl_rollouts.py), and writes a line of metrics.jsonl after each update."""

    agent_loop_manager: Any  # Rollouts, given to `fit` by verl_main.py

    def __init__(self, config: DictConfig):
        super().__init__(config)
        self.settings = polaris_settings(config)
        self.training_state = self._initial_state()
        self.numbers: dict[str, float] = {}
        stored = self.settings.rollout_store
        self.store = RolloutStore(Path(self.settings.rollouts), None if stored == "all" else stored) if stored else None
        self.unstored: tuple[FinishedStep, Counts | None] | None = None
        self.curve = Curve(Path(self.settings.metrics), self.settings.alarm)
        self.clock = time.monotonic()
        self.longest = 0.0  # seconds of a step of this launch

    def _initial_state(self) -> TrainingState:
        """The state at step 0."""
        rows = read_rows(Path(self.settings.rescue_buffer), RESCUE_BUFFER) if self.settings.rescue_buffer else []
        buffer = RescueBuffer.from_rows(rows) if self.settings.rescue else None
        if self.settings.core is None:
            return TrainingState(rescue_buffer=buffer)
        sets = self._read_sets(Path(self.settings.consensus))
        return TrainingState(sets, sets.sizes(), buffer)

    def _setup(self) -> None:
        trainer_base.LLMServerManager = GroupServers  # pyright: ignore[reportPrivateImportUsage]  verl has no setting for it
        super()._setup()

    def _build_replay_buffer(self):
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = POLL
        return buffer

    def on_train_begin(self) -> None:
        self.clock = time.monotonic()

    def finish(self, groups: list[list[Rollout]]) -> list[list[Rollout]]:
        """The groups to train on, rewarded; logs the accuracy before rescue and substitution."""
        step = self.global_steps
        graded = check_graded(groups, self.settings.grading.max_failure_rate, step)
        append(Path(self.settings.accuracy), {"step": step} | accuracies(groups))
        random = Random(f"seed {self.config.actor_rollout_ref.rollout.seed}, step {step}")
        counts = self._counts(groups) if self.store else None
        done = finished(groups, step, self.settings, self.training_state, random)
        self.numbers = done.metrics | graded
        if self.settings.alarm:
            self.numbers |= alarm.measured([rollout for group in done.rewarded_P for rollout in group])
        if self.use_teacher_policy:
            graded_alone = {"accuracy", "reward"} if without_golds(groups) else set()
            self.numbers = {name: value for name, value in self.numbers.items() if name not in graded_alone}
            self.numbers |= teaching_metrics(groups, step)
        self.unstored = done, counts
        return done.trained_P

    def teachers(self) -> Teachers | None:
        """Who reads each response; nobody without distillation."""
        clients = self.get_teacher_client()
        if clients is None:
            return None
        return Teachers(self.config, clients, self.settings.distillation.reward_scale, self.settings.distillation.delta)

    def _counts(self, groups: list[list[Rollout]]) -> Counts | None:
        """What the consensus sets know of the step's problems before they learn from it."""
        sets = self.training_state.sets
        return None if sets is None else {group[0].trajectory.problem: sets.counts(group[0].trajectory.problem)
                                          for group in groups}  # fmt: skip

    def _compute_old_log_prob(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Like verl, by the current actor, also for rescued rows; these then count as sampled by it."""
        batch = super()._compute_old_log_prob(batch, metrics)
        metrics.update(verl_batch.forget_other_policies(batch))
        self._check_engine(metrics)
        return batch

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Like verl; then all is known that the store keeps of a step, which is written beside the update."""
        batch = super()._compute_advantage(batch, metrics)
        if self.store and self.unstored:
            done, counts = self.unstored
            uids = [group[0].trajectory.group for group in done.rewarded_P]
            actor = verl_batch.trained(batch, uids, len(done.rewarded_P[0]))
            trained = {place: values for place, values in actor.items() if done.source_P[place[0]] == place[0]}
            self.store.write(self.global_steps, done, counts, trained)
        self.unstored = None
        return batch

    def _check_engine(self, metrics: dict) -> None:
        """The step's responses as canaries: the engine that sampled them must be the actor.

        A mean difference of probabilities is at most that of log-probabilities. Where sampling cuts the distribution
        (top_p, top_k), the engine's are of what is left, and cannot be compared.
        """
        rollout = self.config.actor_rollout_ref.rollout
        differs = metrics.get("training/rollout_probs_diff_mean", 0.0)
        limit = canaries.ENGINE_LIMITS[rollout.dtype]
        if rollout.top_p == 1 and rollout.top_k <= 0 and not differs <= limit:
            raise RuntimeError(
                f"step {self.global_steps}: the rollout engine gives its tokens probabilities that are {differs:.2g} "
                f"away from the actor's on average ({limit:g} is allowed): it does not hold the actor's weights"
            )

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """Like verl, without the updates whose rows are all masked: verl would compute NaN or a step of momentum."""
        if self.settings.masked_from is not None:
            actor, ranks = (
                self.config.actor_rollout_ref.actor,
                self.config.trainer.nnodes * self.config.trainer.n_gpus_per_node,
            )
            updates = self.config.data.train_batch_size // actor.ppo_mini_batch_size
            learned, skipped = verl_batch.with_loss(batch, updates, ranks)
            self.numbers["skipped_updates"] = skipped
            super()._update_actor(learned, metrics)
            return batch
        return super()._update_actor(batch, metrics)

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        """verl's step, then its line in metrics.jsonl: written before the checkpoint that contains the step."""
        batch = super().step(metrics, timing_raw)
        now = time.monotonic()
        line = {"step": self.global_steps} | self.numbers
        line |= {ours: float(metrics[name]) for ours, name in CURVES.items() if name in metrics}
        line["seconds"] = now - self.clock  # since the last line: weight transfer and checkpoint included
        self.longest = max(self.longest, line["seconds"])
        self.clock = now
        metrics |= {f"polaris/{key}": value for key, value in line.items()}  # for verl's loggers
        self.curve.append({key: round(value, 6) for key, value in line.items()})
        if self.store:
            updates.append(self.store.folder, self.global_steps, {ours: float(metrics[verl]) for ours, verl in EXACT})
        if self.global_steps == self.total_training_steps:
            self._record_log_probs(batch)
        return batch

    def on_step_end(self) -> None:
        """Like verl, unless another step might pass the deadline: then save and raise OutOfTime."""
        end = self.settings.deadline
        if end and self.global_steps < self.total_training_steps and is_due(end, time.time(), self.longest):
            if self.global_steps % self.config.trainer.save_freq:
                self._save_checkpoint()
            raise OutOfTime
        super().on_step_end()

    def _record_log_probs(self, batch: KVBatchMeta) -> None:
        """The trained actor's log-probabilities of some responses, which export_gate.py compares with the export's."""
        self._folder().mkdir(parents=True, exist_ok=True)
        rows = verl_batch.log_probs(self.actor_rollout_wg, batch, canaries.ROWS)
        (self._folder() / LOG_PROBS).write_text(json.dumps(rows))

    def _validate(self) -> dict[str, float]:
        """Replaces verl's: evaluate the actor on the benchmark. Logged only; training state is unchanged."""
        started = time.monotonic()
        data: Any = self.val_dataset
        rows = [data[index] for index in range(len(data))]
        metrics = outcome_metrics(self.agent_loop_manager.validate(self.global_steps, rows))
        line = {"step": self.global_steps, "avg": metrics.pop("accuracy")} | metrics
        line["seconds"] = time.monotonic() - started
        self.clock += line["seconds"]  # they are no part of a training step
        append(Path(self.settings.validation), {key: round(value, 6) for key, value in line.items()})
        return {f"validation/{name}": value for name, value in line.items()}

    def _read_sets(self, path: Path) -> ConsensusSets:
        return ConsensusSets.from_rows(read_rows(path, CONSENSUS), self.settings.core.min_support)

    def _folder(self) -> Path:
        """verl's checkpoint of the current step."""
        return Path(self.config.trainer.default_local_dir) / f"global_step_{self.global_steps}"

    def _save_checkpoint(self) -> None:
        """Our state first: verl's tracker file, written last, makes the checkpoint valid."""
        self._folder().mkdir(parents=True, exist_ok=True)
        if self.training_state.sets is not None:
            write_rows(self._folder() / "consensus.parquet", self.training_state.sets.rows(), CONSENSUS)
        if self.training_state.rescue_buffer is not None:
            write_rows(self._folder() / RESCUE_FILE, self.training_state.rescue_buffer.rows(), RESCUE_BUFFER)
        if self.store:
            self.store.wait()
        super()._save_checkpoint()
        if self.store:
            digest = updates.weights_digest(self._folder() / WEIGHTS_FOLDER)
            updates.append(self.store.folder, self.global_steps, {"weights": digest})

    def _load_checkpoint(self) -> None:
        """Restore our state of the resumed step (step 0: from scratch)."""
        super()._load_checkpoint()
        if not self.global_steps:
            return
        restored = self.training_state
        if restored.sets is not None:
            restored = replace(restored, sets=self._read_sets(self._folder() / "consensus.parquet"))
        if restored.rescue_buffer is not None:
            rows = read_rows(self._folder() / RESCUE_FILE, RESCUE_BUFFER)
            restored = replace(restored, rescue_buffer=RescueBuffer.from_rows(rows))
        self.training_state = restored
