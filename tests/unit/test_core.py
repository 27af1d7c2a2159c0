"""CORE: consensus sets, the process reward of wrong trajectories, and one RL step of it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.records import CONSENSUS, read_rows, write_rows
from small_rl.core import ConsensusSets, core_rewards, initial_sets, process_reward, without_answer
from small_rl.settings import Core


def settings(cap: float = 0.5, min_support: int = 1, drop_answer: bool = True) -> Core:
    return Core(cap=cap, min_support=min_support, drop_answer=drop_answer, consensus="rl_data")


def sets(known: dict[str, list[list[str]]], min_support: int = 1) -> ConsensusSets:
    """Consensus sets from the steps of correct trajectories by problem."""
    made = ConsensusSets(min_support)
    for problem_id, trajectories in known.items():
        for steps in trajectories:
            made.add(problem_id, steps)
    return made


@pytest.mark.parametrize(
    ("steps", "consensus", "cap", "reward"),
    [
        ("abc", "abcd", 0.5, 0.5),
        ("abc", "abcd", 1.0, 0.75),
        ("a", "abcd", 0.5, 0.25),
        ("xyz", "abcd", 0.5, 0.0),
        ("", "abcd", 0.5, 0.0),
        ("abc", "", 0.5, 0.0),
        ("abcdxyz", "abcd", 1.0, 1.0),
        ("ab", "abcd", 0.0, 0.0),
    ],
)
def test_process_reward(steps, consensus, cap, reward):
    assert process_reward(frozenset(steps), frozenset(consensus), cap) == reward


def test_support_counts_trajectories_not_repetitions():
    made = sets({"p": [["a", "a", "b"], ["a", "c"], []]}, min_support=2)
    assert made.of("p") == {"a"} and made.of("unknown") == frozenset() and len(made) == 1
    assert made.rows() == [
        {"problem_id": "p", "step": "a", "count": 2},
        {"problem_id": "p", "step": "b", "count": 1},
        {"problem_id": "p", "step": "c", "count": 1},
    ]


def test_rows_give_the_same_sets_again(tmp_path):
    made = sets({"p": [["a", "b"], ["a"]], "q": [["é"]], "r": [[]]}, min_support=2)
    write_rows(tmp_path / "c.parquet", made.rows(), CONSENSUS)
    again = ConsensusSets.from_rows(read_rows(tmp_path / "c.parquet", CONSENSUS), min_support=2)
    assert again.rows() == made.rows() and again.of("p") == made.of("p") == {"a"}
    again.add("q", ["é"])
    made.add("q", ["é"])
    assert again.rows() == made.rows() and again.of("q") == {"é"}


@pytest.mark.parametrize(
    ("steps", "answer", "left"),
    [
        (["a=1", "5"], "5", {"a=1"}),
        (["a=1", "5"], None, {"a=1", "5"}),
        (["0.5", r"\frac{1}{2}", "x=0.5"], "1/2", {"x=0.5"}),
        ([r"\sqrt{2}", "2"], r"$\sqrt{2}$", {"2"}),
    ],
)
def test_steps_that_are_the_answer_are_left_out(steps, answer, left):
    assert without_answer(steps, answer) == left


def test_initial_sets_drop_gold_answers_only_when_asked():
    rows = sets({"p": [["a=1", "0.5"]], "q": [["7"]]}).rows()
    assert initial_sets(rows, {"p": ["1/2"], "q": ["5", "7"]}, settings()).of("p") == {"a=1"}
    assert len(initial_sets(rows, {"p": ["1/2"], "q": ["5", "7"]}, settings())) == 1
    assert initial_sets(rows, {}, settings()).rows() == rows
    assert initial_sets(rows, {"p": ["1/2"]}, settings(drop_answer=False)).rows() == rows


def test_one_step_scores_first_and_learns_then():
    known = sets({"p": [["a", "b"]]})
    rewards = core_rewards(
        ["p", "p", "p", "q", "q"],
        [True, False, False, True, False],
        [["b", "c", "5"], ["a", "c", "6"], ["x"], ["y"], ["y"]],
        ["5", "6", None, "1", "2"],
        known,
        settings(),
    )
    assert rewards == [1.0, 0.5, 0.0, 1.0, 0.0]  # neither c nor y was known when the step was scored
    assert known.of("p") == {"a", "b", "c"} and known.of("q") == {"y"}


def test_the_answer_counts_as_a_step_when_it_is_not_dropped():
    known = sets({"p": [["a", "5"]]})
    arguments = (["p"], [False], [["5"]], ["5"], known)
    assert core_rewards(*arguments, settings(drop_answer=False)) == [0.5]
    assert core_rewards(*arguments, settings(drop_answer=True)) == [0.0]


batches = st.lists(
    st.tuples(
        st.sampled_from("pq"), st.booleans(), st.frozensets(st.sampled_from("abcd")), st.sampled_from(["5", None])
    ),
    min_size=1,
    max_size=5,
)


@given(batches)
def test_the_order_in_the_batch_does_not_matter(batch):
    results = set()
    for order in itertools.islice(itertools.permutations(range(len(batch))), 24):
        known = sets({"p": [["a", "b"]]})
        rewards = core_rewards(*map(list, zip(*(batch[i] for i in order), strict=True)), known, settings())
        back = tuple(reward for _, reward in sorted(zip(order, rewards, strict=True)))
        results.add((back, str(known.rows())))
        assert all(0 <= reward <= 0.5 or batch[i][1] for i, reward in zip(order, rewards, strict=True))
    assert len(results) == 1
