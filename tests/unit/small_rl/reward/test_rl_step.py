"""The order inside one RL step: outcomes are logged, CORE learns, then rollouts are rescued and groups substituted."""

import itertools
from dataclasses import replace
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_rl.reward.core import ConsensusSets
from small_rl.reward.rescue import BufferedResponse, RescueBuffer
from small_rl.reward.rl_step import Response, Rollout, TrainingState, accuracies, check_graded, finished
from small_rl.reward.step_metrics import Trajectory

UID = itertools.count()
LIMIT = 4  # tokens of a response
CORE = SimpleNamespace(cap=0.5, min_support=1, update="online", denominator="current", guard="none", centre=None)


def settings(core=None, min_informative=None, overlong=None, rescue="own"):
    substitution = None if min_informative is None else SimpleNamespace(min_informative=min_informative)
    return SimpleNamespace(
        core=core, substitution=substitution, overlong=overlong, rescue=rescue, max_response_length=LIMIT
    )


def group(problem: str, outcomes: str, results: str = "") -> list[Rollout]:
    """A group from "1" (right) and "0" (wrong), all with the same underlined results."""
    uid = f"uid {next(UID)}"
    return [
        Rollout(
            Trajectory(uid, problem, mark == "1", "exact" if mark == "1" else "different", tuple(results), 2, False),
            [1, 2],
            Response([10 + i, 20 + i], [-0.5, -0.25], 3),
        )
        for i, mark in enumerate(outcomes)
    ]


def buffer_with(problem: str, step: int) -> RescueBuffer:
    buffer = RescueBuffer()
    buffer.put(problem, BufferedResponse(step, step - 1, (7, 8, 9)))
    return buffer


def finish(*arguments):
    """The groups to train on, and the metrics."""
    done = finished(*arguments)
    return done.trained_P, done.metrics


def rewards(groups) -> list[list[float]]:
    return [[rollout.reward for rollout in found] for found in groups]


def test_nothing_on_changes_nothing():
    batch = [group("p", "10"), group("q", "00")]
    groups, numbers = finish(batch, 4, settings(), TrainingState(), Random(0))
    assert rewards(groups) == [[1.0, 0.0], [0.0, 0.0]]
    assert [[r.response for r in found] for found in groups] == [[r.response for r in found] for found in batch]
    assert numbers["accuracy"] == 0.25 and numbers["zero_variance"] == 0.5
    assert not {"rescued", "substituted", "zero_variance_after", "length_penalty"} & set(numbers)


def test_a_rescued_rollout_has_reward_one_and_no_log_probs():
    state = TrainingState(rescue_buffer=buffer_with("q", 2))
    groups, numbers = finish([group("p", "00"), group("q", "0000")], 4, settings(), state, Random(0))
    (swapped,) = [r for r in groups[1] if r.response.log_probs_T is None]
    assert swapped.reward == 1.0 and swapped.response.tokens_T == (7, 8, 9) and swapped.response.weights == 1
    assert rewards(groups)[0] == [0.0, 0.0] and sorted(rewards(groups)[1]) == [0.0, 0.0, 0.0, 1.0]
    assert numbers["rescued"] == 0.5 and numbers["accuracy"] == 0.0 and numbers["reward"] == 0.0
    assert numbers["zero_variance"] == 1.0 and numbers["zero_variance_after"] == 0.5


def test_the_buffer_keeps_what_this_step_solved_and_uses_it_only_later():
    state = TrainingState(rescue_buffer=RescueBuffer())
    twice = [group("p", "01"), group("p", "00")]  # a problem that a step has twice
    groups, numbers = finish(twice, 4, settings(), state, Random(0))
    assert numbers["rescued"] == 0.0 and rewards(groups)[1] == [0.0, 0.0]
    assert state.rescue_buffer.rows() == [{"problem_id": "p", "step": 4, "weights": 3, "tokens": [11, 21]}]
    _, numbers = finish([group("p", "00")], 5, settings(), state, Random(0))
    assert (
        numbers["rescued"] == 1.0 and state.rescue_buffer.rows()[0]["step"] == 4
    )  # what was rescued is not kept again


def test_a_teachers_buffer_helps_from_the_first_step_on_and_stays_as_it_is():
    state = TrainingState(rescue_buffer=buffer_with("p", 0))
    before = state.rescue_buffer.rows()
    taught = settings(rescue="teacher")
    groups, numbers = finish([group("p", "00"), group("q", "01")], 1, taught, state, Random(0))
    assert numbers["rescued"] == 0.5 and sorted(rewards(groups)[0]) == [0.0, 1.0]
    finish([group("p", "11")], 2, taught, state, Random(0))
    assert state.rescue_buffer.rows() == before


def test_rescue_feeds_neither_the_sets_nor_the_accuracy():
    sets = ConsensusSets(1)
    sets.add("q", "ab")
    state = TrainingState(sets, sets.sizes(), buffer_with("q", 1))
    batch = [group("q", "00", "ax")]
    groups, numbers = finish(batch, 2, settings(CORE), state, Random(0))
    assert sorted(rewards(groups)[0]) == [0.5, 1.0]  # the one that is left keeps its process reward
    assert state.sets.get("q") == {"a", "b"}
    assert numbers["accuracy"] == 0.0 and numbers["process_reward"] == 0.5 and numbers["capped"] == 1.0
    assert accuracies(batch) == {"problems": ["q"], "accuracy": [0.0]}


def test_a_group_is_copied_whole():
    batch = [group("p", "10"), group("q", "11"), group("r", "01")]
    groups, numbers = finish(batch, 4, settings(min_informative=0.334), TrainingState(), Random(0))
    source = groups[1][0].trajectory.problem
    assert source in "pr" and groups[1] == groups[{"p": 0, "r": 2}[source]]
    assert numbers["substituted"] == pytest.approx(1 / 3) and numbers["zero_variance_after"] == 0.0
    assert numbers["accuracy"] == pytest.approx(4 / 6)  # of the step's own rollouts


def test_too_few_informative_groups_are_told():
    batch = [group("p", "10"), group("q", "00"), group("r", "00"), group("s", "11")]
    groups, numbers = finish(batch, 4, settings(min_informative=0.334), TrainingState(), Random(0))
    assert [found[0].trajectory.problem for found in groups] == list("pqrs")
    assert numbers["substituted"] == 0.0 and numbers["zero_variance_after"] == 0.75


@pytest.mark.parametrize("outcomes", ["00", "11"])
def test_a_step_without_signal_is_told_and_changes_no_group(outcomes):
    batch = [group("p", outcomes), group("q", outcomes)]
    groups, numbers = finish(
        batch, 4, settings(min_informative=0.334), TrainingState(rescue_buffer=RescueBuffer()), Random(0)
    )
    assert numbers["zero_variance"] == numbers["zero_variance_after"] == 1.0
    assert numbers["substituted"] == numbers["rescued"] == 0.0
    assert [[r.response for r in found] for found in groups] == [[r.response for r in found] for found in batch]


def ungraded(found: list[Rollout], failures: int) -> list[Rollout]:
    """A group whose first answers could not be graded."""
    reasons = ["timeout", "crashed"] * failures
    return [
        replace(rollout, trajectory=replace(rollout.trajectory, reason=reason))
        for rollout, reason in zip(found, reasons, strict=False)
    ][:failures] + found[failures:]


def test_a_problem_whose_answers_all_time_out_is_counted_or_stops_the_step():
    batch = [ungraded(group("p", "0000"), 4), ungraded(group("q", "0001"), 1)]
    assert check_graded(batch, 0.7, 4) == {"ungraded": 0.5}
    assert check_graded([group("p", "00")], 0.0, 4) == {"ungraded": 0.0}
    with pytest.raises(RuntimeError, match="step 4: 62.5% .*, all of problem p.*max_failure_rate is 50.0%"):
        check_graded(batch, 0.5, 4)


def test_a_rescued_group_is_informative():
    batch = [group("p", "00"), group("q", "00")]
    state = TrainingState(rescue_buffer=buffer_with("p", 1))
    groups, numbers = finish(batch, 2, settings(min_informative=0.334), state, Random(0))
    assert groups[1] == groups[0] and numbers["zero_variance_after"] == 0.0
    assert numbers["rescued"] == numbers["substituted"] == 0.5


def test_wrong_groups_with_different_process_rewards_are_informative():
    sets = ConsensusSets(1)
    sets.add("p", "abcd")
    near, far = group("p", "00", "a")
    mixed = [near, replace(far, trajectory=replace(far.trajectory, results=("x", "y")))]
    state = TrainingState(sets, sets.sizes())
    _, numbers = finish([mixed, group("q", "00")], 1, settings(CORE, 0.0), state, Random(0))
    assert numbers["zero_variance"] == 0.5 and numbers["substituted"] == 0.5
    assert numbers["consensus_size"] == 2.0 and numbers["consensus_empty"] == 0.5 and numbers["capped"] == 0.0


def test_length_is_paid_for_after_cores_rewards_and_by_a_rescued_response_too():
    sets = ConsensusSets(1)
    sets.add("p", "ab")
    state = TrainingState(sets, sets.sizes(), buffer_with("q", 1))  # the kept response has 3 tokens
    batch = [group("p", "10", "ax"), group("q", "00")]
    paying = settings(CORE, overlong=SimpleNamespace(penalty=0.4, buffer=4))
    groups, numbers = finish(batch, 2, paying, state, Random(0))
    assert rewards(groups)[0] == [pytest.approx(0.8), pytest.approx(0.3)]  # 1 and 0.5, less 0.4 * 2 / 4
    assert sorted(rewards(groups)[1]) == [
        pytest.approx(-0.2),
        pytest.approx(0.7),
    ]  # 0, and the rescued 1 less 0.4 * 3 / 4
    assert numbers["length_penalty"] == pytest.approx(0.2) and numbers["capped"] == pytest.approx(1 / 3)
    assert numbers["process_reward"] == pytest.approx(0.5 / 3)  # of the results alone
    assert numbers["reward"] == pytest.approx((1 + 0.5) / 4 - 0.2) and numbers["accuracy"] == 0.25


batches = st.lists(st.tuples(st.sampled_from("pqrs"), st.text("01", min_size=3, max_size=3)), min_size=1, max_size=6)


@given(batches, st.sampled_from([None, 0.0, 0.334]), st.integers(0, 50))
def test_shapes_and_log_stay(batch, min_informative, seed):
    groups = [group(*found) for found in batch]
    run = lambda: finish(
        groups, 2, settings(None, min_informative), TrainingState(rescue_buffer=buffer_with("p", 1)), Random(seed)
    )
    made, numbers = run()
    assert [len(found) for found in made] == [3] * len(batch) and made == run()[0]
    assert numbers["zero_variance_after"] <= numbers["zero_variance"]
    assert all(len({r.trajectory.problem for r in found}) == 1 for found in made)
    assert all(0 <= share <= 1 for name, share in numbers.items() if "tokens" not in name)
    assert accuracies(groups)["accuracy"] == [marks.count("1") / 3 for _, marks in batch]
