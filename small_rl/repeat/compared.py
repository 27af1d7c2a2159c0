"""Two records of the same steps: what the training wrote, and what its repetition wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polaris.stage.errors import UserError
from small_rl.rollouts import updates
from small_rl.rollouts.store import read_step

SAME, DIFFERENT, UNKNOWN = "same", "different", "not recorded"
_REWARDS = ("group", "sample", "problem_id", "earned", "penalty", "source", "rescued")
_COLUMNS = (*_REWARDS, "actor_log_probs", "advantage")


@dataclass(frozen=True)
class Compared:
    """One step: each of its parts is `same`, to the last bit, `different`, or `not recorded`.

    rewards: with rescue and substitution; log_probs: of the actor before the update; weights: of a checkpoint
    """

    step: int
    rewards: str
    log_probs: str
    advantages: str
    loss: str
    gradient: str
    weights: str

    @property
    def differs(self) -> bool:
        return DIFFERENT in asdict(self).values()


def compared(recorded: Path, again: Path, steps: Sequence[int]) -> list[Compared]:
    """Each of the steps in both stores."""
    theirs, ours = updates.read(recorded), updates.read(again)
    return [_step(recorded, again, step, theirs.get(step, {}), ours.get(step, {})) for step in steps]


def _step(recorded: Path, again: Path, step: int, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Compared:
    rows, new = (read_step(folder, step, _COLUMNS) for folder in (recorded, again))
    pick = lambda table, names: [[row[name] for name in names] for row in table]
    return Compared(
        step,
        _word(pick(rows, _REWARDS), pick(new, _REWARDS)),
        _word(*([row["actor_log_probs"] for row in table] for table in (rows, new))),
        _word(*([row["advantage"] for row in table] for table in (rows, new))),
        _word(theirs.get("loss"), ours.get("loss")),
        _word(theirs.get("grad_norm"), ours.get("grad_norm")),
        _word(theirs.get("weights"), ours.get("weights")),
    )


def _word(recorded: Any, again: Any) -> str:
    if recorded is None or isinstance(recorded, list) and all(value is None for value in recorded):
        return UNKNOWN
    return SAME if recorded == again else DIFFERENT


def usable(folder: Path, steps: Sequence[int], columns: Sequence[str] = _COLUMNS) -> None:
    """Raises UserError for the first of the steps that is missing or cut, naming the steps before it."""
    for step in steps:
        try:
            read_step(folder, step, columns)
        except UserError as error:
            before = f"; steps {steps[0]} to {step - 1} can be repeated" if step > steps[0] else ""
            raise UserError(f"{error}{before}") from None
