"""A step again: the batch from a store, what is compared, where it starts, and what is refused."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polaris.stage.errors import UserError
from small_rl.repeat.again import _start, again
from small_rl.repeat.compared import DIFFERENT, SAME, UNKNOWN, compared, usable
from small_rl.repeat.stored import graded
from small_rl.rollouts import store, updates
from tests.helpers import opd
from tests.helpers.rollouts import write_store
from tests.helpers.verl_stages import rl_stage


@pytest.fixture
def stored(tmp_path):
    return write_store(tmp_path / "run", rl_stage("laptop", "core"))


def changed(folder, step: int, **columns) -> None:
    """Other values in a step's file."""
    path = store.step_file(folder, step)
    table = pq.read_table(path)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    pq.write_table(table, path)


def test_a_step_comes_back_as_it_was_graded(stored):
    rows = store.read_step(stored, 1)
    p, q = graded(rows, ["u1", "u2"], ["p", "q"])
    assert [one.trajectory.correct for one in p] == [True, False] and p[1].trajectory.results == ("a=2", "c=7")
    assert {one.trajectory.group for one in p} == {"u1"} and q[1].trajectory.problem == "q"
    assert p[1].prompt == [1, 2] and p[0].response.tokens_T == rows[0]["response"]
    assert p[0].response.log_probs_T == rows[0]["log_probs"] and p[0].earned == 0.0  # it is earned anew
    with pytest.raises(UserError, match="step 1: the store has rollouts of other problems"):
        graded(rows, ["u1", "u2"], ["q", "p"])


def test_what_is_the_same_what_differs_and_what_was_never_written(stored, tmp_path):
    other = write_store(tmp_path / "other", rl_stage("laptop", "core"))
    for folder in (stored, other):
        updates.append(folder, 1, {"loss": 0.1, "grad_norm": 1.0})
        changed(folder, 1, advantage=[0.5, -0.5, None, None])
    updates.append(stored, 1, {"weights": "a"})
    updates.append(other, 1, {"weights": "b"})
    first, second = compared(stored, other, [1, 2])
    assert (first.rewards, first.advantages, first.loss, first.gradient) == (SAME,) * 4
    assert (first.log_probs, first.weights) == (UNKNOWN, DIFFERENT) and first.differs
    assert (second.rewards, second.loss) == (SAME, UNKNOWN) and not second.differs
    updates.append(other, 2, {"loss": 0.2})
    assert compared(stored, other, [2])[0].loss == UNKNOWN
    changed(other, 2, earned=[1.0, 0.25, 0.5, 1.0])
    changed(other, 1, advantage=[0.5, -0.4999999, None, None])
    first, second = compared(stored, other, [1, 2])
    assert (first.advantages, second.rewards) == (DIFFERENT, DIFFERENT)
    assert dataclasses.asdict(first)["step"] == 1


def test_updates_read_what_a_kill_left(tmp_path):
    assert updates.read(tmp_path) == {}
    updates.append(tmp_path, 1, {"loss": 0.1})
    updates.append(tmp_path, 1, {"weights": "a"})
    with (tmp_path / updates.NAME).open("a") as file:
        file.write('{"step": 2, "lo')
    assert updates.read(tmp_path) == {1: {"loss": 0.1, "weights": "a"}}


def test_the_newest_checkpoint_before_the_step_is_the_start(tmp_path):
    assert _start(tmp_path / "published", 3, tmp_path / "none") == 0
    folder = tmp_path / "stage/state/fingerprint/checkpoints"
    for number in (2, 4, 6):
        (folder / f"global_step_{number}").mkdir(parents=True)
    (folder / "latest_checkpointed_iteration.txt").write_text("4")  # 6 is half-written
    assert _start(tmp_path / "stage", 7, tmp_path / "a") == 4
    assert _start(tmp_path / "stage", 4, tmp_path / "b") == 2
    assert (tmp_path / "b/global_step_2").resolve() == folder / "global_step_2"
    assert (tmp_path / "b/latest_checkpointed_iteration.txt").read_text() == "2"
    assert _start(tmp_path / "stage", 2, tmp_path / "c") == 0


def test_what_cannot_be_repeated_says_so(stored, tmp_path):
    with pytest.raises(UserError, match="step 9 is not stored; it has 1 to 2"):
        again(stored, 9, tmp_path / "work")
    path = store.step_file(stored, 2)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"step_000002.parquet: .*; steps 1 to 1 can be repeated"):
        usable(stored, [1, 2])
    with pytest.raises(UserError, match="step_000002"):
        again(stored, 2, tmp_path / "cut")
    sampled = rl_stage("laptop", "core").model_copy(update={"rollout_store": 1})
    with pytest.raises(UserError, match="rollout_store: 1"):
        again(write_store(tmp_path / "sampled", sampled), 1, tmp_path / "third")
    with pytest.raises(UserError, match="stage: an on-policy distillation learns from its teacher's"):
        again(write_store(tmp_path / "distilled", opd.training(rollout_store="all")), 1, tmp_path / "fourth")
    assert not (tmp_path / "fourth").exists()
