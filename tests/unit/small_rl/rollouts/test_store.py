"""The rollout store: every column as it was sampled, rewarded and trained; cut and repeated steps."""

from random import Random
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from polaris.stage.errors import UserError
from small_rl.reward.core import ConsensusSets
from small_rl.reward.rescue import BufferedResponse, RescueBuffer
from small_rl.reward.rl_step import Response, Rollout, TrainingState, finished
from small_rl.reward.step_metrics import Trajectory
from small_rl.rollouts import store
from small_rl.rollouts.store import RolloutStore, Trained

CORE = SimpleNamespace(cap=0.5, min_support=1, update="online", denominator="current", guard="none", centre=None)
SETTINGS = SimpleNamespace(
    core=CORE, substitution=SimpleNamespace(min_informative=0.1), overlong=None, rescue="own", max_response_length=4
)


def group(problem: str, outcomes: str, results: str = "") -> list[Rollout]:
    return [
        Rollout(
            Trajectory(f"uid {problem}", problem, ok == "1", "exact", tuple(results), 2, ok == "0", f"answer {ok}"),
            [1, 2, 3],
            Response([10 + i, 20 + i], [-0.5, -0.25], 3),
        )
        for i, ok in enumerate(outcomes)
    ]


@pytest.fixture
def step():
    """A mixed group, one that is rescued, and a solved one, whose place a copy takes."""
    sets = ConsensusSets(1)
    sets.add("mixed", ["a", "b"])
    buffer = RescueBuffer()
    buffer.put("saved", BufferedResponse(1, 1, (7, 8, 9)))
    counts = {"mixed": sets.counts("mixed")}
    groups = [group("mixed", "10", "ax"), group("saved", "00"), group("solved", "11")]
    return finished(groups, 4, SETTINGS, TrainingState(sets, sets.sizes(), buffer), Random(0)), counts


def test_rows_are_what_was_sampled_rewarded_and_trained(tmp_path, step):
    done, counts = step
    written = RolloutStore(tmp_path / "rollouts", None)
    written.write(4, done, counts, {(0, 1): Trained(np.array([-0.75, -0.125]), -0.5)})
    written.wait()
    rows = store.read_step(tmp_path / "rollouts", 4)
    assert [(row["group"], row["sample"], row["problem_id"]) for row in rows] == [
        (place, sample, problem) for place, problem in enumerate(("mixed", "saved", "solved")) for sample in (0, 1)
    ]
    right, wrong, *others = rows
    assert (right["prompt"], wrong["prompt"]) == ([1, 2, 3], None)
    assert (wrong["response"], wrong["log_probs"], wrong["weights"]) == ([11, 21], [-0.5, -0.25], 3)
    assert (right["actor_log_probs"], wrong["actor_log_probs"]) == (None, [-0.75, -0.125])
    assert (right["advantage"], wrong["advantage"]) == (None, -0.5)
    assert (wrong["results"], wrong["counts"]) == (["a", "x"], [1, 0])  # before the step, in which a right one adds
    assert (right["earned"], wrong["earned"], wrong["penalty"]) == (1.0, 0.5, 0.0)
    assert (wrong["cut"], wrong["correct"], wrong["reason"], wrong["answer"]) == (True, False, "exact", "answer 0")
    borrowed = [row["rescued"] for row in others]
    assert sorted(borrowed, key=str) == [None, None, None, [7, 8, 9]] and None in borrowed[:2]
    assert [row["source"] for row in rows] == [place for place in done.source_P for _ in range(2)]
    assert rows[4]["source"] != 2  # a copy is trained in the place of the solved group


def test_a_sample_has_whole_groups_and_is_the_same_again(tmp_path, step):
    for folder in ("first", "second"):
        written = RolloutStore(tmp_path / folder, 2)
        written.write(7, *step, {})
        written.wait()
    rows = store.read_step(tmp_path / "first", 7)
    assert len({row["group"] for row in rows}) == 2 and len(rows) == 4
    assert rows == store.read_step(tmp_path / "second", 7)


def test_outcome_rewards_have_no_counts(tmp_path):
    settings = SimpleNamespace(**vars(SETTINGS) | {"core": None})
    done = finished([group("p", "10", "a")], 1, settings, TrainingState(), Random(0))
    written = RolloutStore(tmp_path, None)
    written.write(1, done, None, {})
    written.wait()
    assert [(row["results"], row["counts"]) for row in store.read_step(tmp_path, 1)] == [(["a"], None)] * 2


def test_steps_that_are_repeated_are_removed(tmp_path, step):
    written = RolloutStore(tmp_path, None)
    for number in (1, 2, 3):
        written.write(number, *step, {})
    written.wait()
    (tmp_path / "step_000003.partial").write_bytes(b"killed while it wrote")
    store.keep(tmp_path, 1)
    assert store.stored_steps(tmp_path) == [1]
    store.keep(tmp_path / "never made", 1)


def test_a_cut_file_is_named_and_the_others_are_read(tmp_path, step):
    written = RolloutStore(tmp_path, None)
    for number in (1, 2):
        written.write(number, *step, {})
    written.wait()
    path = store.step_file(tmp_path, 2)
    path.write_bytes(path.read_bytes()[:-40])
    (first, rows), (second, wrong) = store.readable_steps(tmp_path, ["problem_id"])
    assert (first, second, len(rows)) == (1, 2, 6)
    assert isinstance(wrong, UserError) and "step_000002.parquet" in str(wrong)


def test_what_the_thread_cannot_write_stops_the_training(tmp_path, step):
    (tmp_path / "rollouts").write_text("a file where the folder should be")
    written = RolloutStore(tmp_path / "rollouts", None)
    written.write(1, *step, {})
    with pytest.raises(OSError):
        written.wait()


def test_a_store_of_an_earlier_version_is_read(tmp_path, step):
    written = RolloutStore(tmp_path, None)
    written.write(1, *step, {})
    written.wait()
    path = store.step_file(tmp_path, 1)
    pq.write_table(pq.read_table(path).drop_columns(["advantage"]), path)
    assert [row["advantage"] for row in store.read_step(tmp_path, 1)] == [None] * 6
    assert "advantage" not in store.read_step(tmp_path, 1, ("step", "earned"))[0]
    pq.write_table(pq.read_table(path).drop_columns(["earned"]), path)
    with pytest.raises(UserError, match="columns missing: earned"):
        store.read_step(tmp_path, 1)
