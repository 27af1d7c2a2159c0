"""The rollouts of an RL stage, a parquet file per step: what was sampled, what it was paid, what was trained on.

They lie in the stage's log/, which no consumer's digest counts. The trainer writes a step's file before the checkpoint
that contains the step, and a launch removes the files of steps that it will repeat.
Legend: _P group of a step's batch, _T token.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polaris.stage.errors import UserError
from polaris.stage.records import read_table
from small_rl.reward.rl_step import FinishedStep, Rollout

FOLDER = "rollouts"  # inside a stage's log/
_FILE = re.compile(r"step_(\d{6,})\.parquet")
_TOKENS, _LOG_PROBS = pa.list_(pa.int32()), pa.list_(pa.float32())

# One row per sampled response, in the batch's order.
# `prompt`: of a group's first response, the others have the same. `weights`: step of the weights that sampled it.
# `counts`: of each result, how many correct responses had it in the consensus sets before this step; null without CORE.
# `earned`: by the outcome or by CORE; `penalty`: for the length. The reward is their difference.
# `source`: place of the group that was trained in this group's place; `rescued`: tokens of the correct response that
# was trained instead of this one. `actor_log_probs`, `advantage`: of what was trained here; null where a copy was. A
# masked response has advantage 0.
ROLLOUTS = pa.schema(
    [
        pa.field("step", pa.int32(), nullable=False),
        pa.field("group", pa.int32(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("prompt", _TOKENS),
        pa.field("response", _TOKENS, nullable=False),
        pa.field("log_probs", _LOG_PROBS),
        pa.field("actor_log_probs", _LOG_PROBS),
        pa.field("advantage", pa.float32()),
        pa.field("weights", pa.int32(), nullable=False),
        pa.field("cut", pa.bool_(), nullable=False),
        pa.field("correct", pa.bool_(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("answer", pa.string()),
        pa.field("results", pa.list_(pa.string()), nullable=False),
        pa.field("counts", pa.list_(pa.int32())),
        pa.field("earned", pa.float64(), nullable=False),
        pa.field("penalty", pa.float64(), nullable=False),
        pa.field("source", pa.int32(), nullable=False),
        pa.field("rescued", _TOKENS),
    ]
)

_ADDED = frozenset({"advantage"})  # columns that stores of earlier versions lack

Counts = Mapping[str, Mapping[str, int]]  # problem -> result -> correct responses that had it


@dataclass(frozen=True)
class Trained:
    """What the update saw of a response. log_probs_T: the actor's, before the update"""

    log_probs_T: np.ndarray
    advantage: float


Actor = Mapping[tuple[int, int], Trained]  # (place of a group, place in it) ->


def step_file(folder: Path, step: int) -> Path:
    return folder / f"step_{step:06d}.parquet"


def stored_steps(folder: Path) -> list[int]:
    """The steps of a store, in order; none where there is no store."""
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(found[1]) for name in names if (found := _FILE.fullmatch(name)))


def keep(folder: Path, step: int) -> None:
    """Remove the files after `step`, and a half-written one: steps that are not saved are repeated, and stored then."""
    for partial in folder.glob("*.partial"):
        partial.unlink()
    for later in stored_steps(folder):
        if later > step:
            step_file(folder, later).unlink()


def read_step(folder: Path, step: int, columns: Sequence[str] = ROLLOUTS.names) -> list[dict[str, Any]]:
    """The rows of a step, with these columns. Raises UserError for a file that is cut or is none of a store.

    A column that came later is empty in the file of an earlier version.
    """
    path = step_file(folder, step)
    absent = _ADDED.intersection(columns) - _names(path)
    schema = pa.schema([ROLLOUTS.field(name) for name in columns if name not in absent])
    rows = read_table(path, schema).to_pylist()
    return [row | dict.fromkeys(absent) for row in rows] if absent else rows


def _names(path: Path) -> set[str]:
    try:
        return set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError):
        return set(ROLLOUTS.names)  # what is wrong with the file, `read_table` says


def readable_steps(folder: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[dict[str, Any]] | UserError]]:
    """Each step with its rows, or with what is wrong with its file."""
    for step in stored_steps(folder):
        try:
            yield step, read_step(folder, step, columns)
        except UserError as error:
            yield step, error


class RolloutStore:
    """Writes a step's rollouts beside the training, in a thread.

    groups: whole groups that are kept of each step, drawn by its number; None: all of them
    """

    def __init__(self, folder: Path, groups: int | None):
        self.folder, self.groups = folder, groups
        self._thread = ThreadPoolExecutor(1, "rollouts")
        self._written: Future[None] | None = None

    def write(self, step: int, finished: FinishedStep, counts: Counts | None, actor: Actor) -> None:
        """Begin to write a step; `wait` before the checkpoint that contains it."""
        self.wait()
        kept = range(len(finished.rewarded_P))
        if self.groups is not None and self.groups < len(kept):
            kept = sorted(Random(f"rollouts of step {step}").sample(kept, self.groups))
        self._written = self._thread.submit(self._write, step, finished, counts, actor, kept)

    def wait(self) -> None:
        """Until what was begun is on disk. Raises what the writing raised."""
        if self._written is not None:
            self._written.result()

    def _write(
        self,
        step: int,
        finished: FinishedStep,
        counts: Counts | None,
        actor: Actor,
        kept: Sequence[int],
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = step_file(self.folder, step)
        partial = path.with_suffix(".partial")
        pq.write_table(table(step, finished, counts, actor, kept), partial, compression="zstd")
        partial.rename(path)


def table(step: int, finished: FinishedStep, counts: Counts | None, actor: Actor, kept: Sequence[int]) -> pa.Table:
    """ROLLOUTS of some groups of a step. counts: before the step; actor: of what was trained."""
    rows = [
        (group, sample, rollout, finished.rescued_P[group][sample])
        for group in kept
        for sample, rollout in enumerate(finished.rewarded_P[group])
    ]
    rollouts = [rollout for _, _, rollout, _ in rows]
    trajectories = [rollout.trajectory for rollout in rollouts]
    trained = [actor.get((group, sample)) for group, sample, _, _ in rows]
    columns: dict[str, Any] = {
        "step": [step] * len(rows),
        "group": [group for group, _, _, _ in rows],
        "sample": [sample for _, sample, _, _ in rows],
        "problem_id": [trajectory.problem for trajectory in trajectories],
        "prompt": _lists([None if sample else rollout.prompt for _, sample, rollout, _ in rows], np.int32),
        "response": _lists([rollout.response.tokens_T for rollout in rollouts], np.int32),
        "log_probs": _lists([rollout.response.log_probs_T for rollout in rollouts], np.float32),
        "actor_log_probs": _lists([one and one.log_probs_T for one in trained], np.float32),
        "advantage": [one and one.advantage for one in trained],
        "weights": [rollout.response.weights for rollout in rollouts],
        "cut": [trajectory.cut for trajectory in trajectories],
        "correct": [trajectory.correct for trajectory in trajectories],
        "reason": [trajectory.reason for trajectory in trajectories],
        "answer": [trajectory.answer for trajectory in trajectories],
        "results": [list(trajectory.results) for trajectory in trajectories],
        "counts": [None if counts is None else _known(rollout, counts) for rollout in rollouts],
        "earned": [rollout.earned for rollout in rollouts],
        "penalty": [rollout.penalty for rollout in rollouts],
        "source": [finished.source_P[group] for group, _, _, _ in rows],
        "rescued": _lists([_borrowed(own, trained) for _, _, own, trained in rows], np.int32),
    }
    return pa.table(columns, schema=ROLLOUTS)


def _known(rollout: Rollout, counts: Counts) -> list[int]:
    known = counts.get(rollout.trajectory.problem, {})
    return [known.get(result, 0) for result in rollout.trajectory.results]


def _borrowed(own: Rollout, trained: Rollout) -> Sequence[int] | None:
    return None if trained.response is own.response else trained.response.tokens_T


def _lists(values: Sequence[Sequence[int] | Sequence[float] | np.ndarray | None], dtype: type) -> pa.Array:
    """A list column. Arrow reads a Python list value by value; numpy is ten times as fast, and a step has millions."""
    arrays = [np.asarray([] if value is None else value, dtype=dtype) for value in values]
    offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int32)
    absent = pa.array([value is None for value in values])
    return pa.ListArray.from_arrays(offsets, np.concatenate([np.empty(0, dtype), *arrays]), mask=absent)
