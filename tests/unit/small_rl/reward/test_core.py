"""CORE: consensus sets, the process reward of wrong trajectories, and one RL step of it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.stage.records import CONSENSUS, read_rows, write_rows
from small_rl.reward.core import (
    ConsensusSets,
    core_rewards,
    initial_sets,
    process_reward,
    scored_results,
)
from small_rl.rl_settings import Core


def settings(**changes) -> Core:
    literal = {"cap": 0.5, "min_support": 1, "results": "intermediate", "key": "string", "scope": "response"}
    literal |= {"update": "online", "denominator": "current", "guard": "none", "centre": None, "consensus": "rl_data"}
    return Core(**literal | changes)


def sets(known: dict[str, list[list[str]]], min_support: int = 1) -> ConsensusSets:
    """Consensus sets from the results of correct trajectories by problem."""
    made = ConsensusSets(min_support)
    for problem_id, trajectories in known.items():
        for results in trajectories:
            made.add(problem_id, results)
    return made


@pytest.mark.parametrize(
    ("results", "consensus", "cap", "reward"),
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
def test_process_reward(results, consensus, cap, reward):
    assert process_reward(frozenset(results), frozenset(consensus), 0, settings(cap=cap)) == reward


@pytest.mark.parametrize(
    ("results", "start_size", "changes", "reward"),
    [
        ("a", 2, {"denominator": "start"}, 0.5),  # 1/2 as at the start, not 1/4
        ("ab", 2, {"denominator": "start", "cap": 0.9}, 0.9),
        ("a", 0, {"denominator": "start"}, 0.25),  # there was no set then
        ("abc", 4, {"guard": "precision", "cap": 1.0}, 0.75),  # three of four, nothing else underlined
        ("abcdefgh", 4, {"guard": "precision", "cap": 1.0}, 0.5),  # all four among eight
        ("abcdefgh", 4, {"cap": 1.0}, 1.0),
        ("ab" + "xyz", 2, {"guard": "precision", "denominator": "start", "cap": 1.0}, 0.4),
    ],
)
def test_other_readings_of_the_formula(results, start_size, changes, reward):
    assert process_reward(frozenset(results), frozenset("abcd"), start_size, settings(**changes)) == reward


@pytest.mark.parametrize(
    ("changes", "answers", "results"),
    [
        ({}, ["5"], ("a=1", "b=2")),
        ({}, ["6"], ("a=1", "5", "c=5", "b=2")),  # a wrong answer of 5 is a result as any other
        ({}, ["6", "5.0"], ("a=1", "b=2")),
        ({"results": "all"}, ["5"], ("a=1", "5", "c=5", "b=2")),
        ({"scope": "answer"}, ["5"], ("b=2",)),
    ],
)
def test_results_that_count(changes, answers, results):
    response = r"<think>\underline{a=1}, \underline{5}\underline{c=5}</think>\underline{b=2} \boxed{5}"
    assert scored_results(response, answers, settings(**changes)) == results


def test_frozen_sets_do_not_learn():
    known = sets({"p": [["a"]]})
    assert core_rewards(["p"], [True], [["b"]], known, {}, settings(update="frozen")) == [1.0]
    assert known.get("p") == {"a"}


def test_sizes_are_those_of_the_consensus():
    assert sets({"p": [["a", "b"], ["a"]], "q": [["c"]]}, min_support=2).sizes() == {"p": 1}


def test_texts_with_one_key_are_one_step():
    rows = sets({"p": [["1+x"], ["x+1", "2y"]]}).rows()
    made = initial_sets(rows, {}, settings(key="structure", min_support=2), lambda texts: [t[-1] + "?" for t in texts])
    assert made.get("p") == frozenset()
    made = initial_sets(rows, {}, settings(key="structure", min_support=2), lambda texts: ["k" for _ in texts])
    assert made.get("p") == {"k"} and made.rows()[0]["count"] == 3


def test_support_counts_trajectories_not_repetitions():
    made = sets({"p": [["a", "a", "b"], ["a", "c"], []]}, min_support=2)
    assert made.get("p") == {"a"} and made.get("unknown") == frozenset() and len(made) == 1
    assert made.rows() == [
        {"problem_id": "p", "step": "a", "count": 2},
        {"problem_id": "p", "step": "b", "count": 1},
        {"problem_id": "p", "step": "c", "count": 1},
    ]


def test_rows_give_the_same_sets_again(tmp_path):
    made = sets({"p": [["a", "b"], ["a"]], "q": [["é"]], "r": [[]]}, min_support=2)
    write_rows(tmp_path / "c.parquet", made.rows(), CONSENSUS)
    again = ConsensusSets.from_rows(read_rows(tmp_path / "c.parquet", CONSENSUS), min_support=2)
    assert again.rows() == made.rows() and again.get("p") == made.get("p") == {"a"}
    again.add("q", ["é"])
    made.add("q", ["é"])
    assert again.rows() == made.rows() and again.get("q") == {"é"}


def test_initial_sets_have_the_results_that_count():
    rows = sets({"p": [["a=1", "0.5", "b=0.5"]], "q": [["7"]]}).rows()
    assert initial_sets(rows, {"p": ["1/2"], "q": ["5", "7"]}, settings()).get("p") == {"a=1"}
    assert len(initial_sets(rows, {"p": ["1/2"], "q": ["5", "7"]}, settings())) == 1
    assert initial_sets(rows, {}, settings()).rows() == rows
    assert initial_sets(rows, {"p": ["1/2"]}, settings(results="all")).rows() == rows
    assert initial_sets([*rows, {"problem_id": "p", "step": "=", "count": 1}], {}, settings()).rows() == rows


def test_one_step_scores_first_and_learns_then():
    known = sets({"p": [["a", "b"]]})
    rewards = core_rewards(
        ["p", "p", "p", "q", "q"],
        [True, False, False, True, False],
        [["b", "c"], ["a", "c"], ["x"], ["y"], ["y"]],
        known,
        known.sizes(),
        settings(),
    )
    assert rewards == [1.0, 0.5, 0.0, 1.0, 0.0]  # neither c nor y was known when the step was scored
    assert known.get("p") == {"a", "b", "c"} and known.get("q") == {"y"}


batches = st.lists(
    st.tuples(st.sampled_from("pq"), st.booleans(), st.frozensets(st.sampled_from("abcd"))),
    min_size=1,
    max_size=5,
)


@given(batches)
def test_the_order_in_the_batch_does_not_matter(batch):
    results = set()
    for order in itertools.islice(itertools.permutations(range(len(batch))), 24):
        known = sets({"p": [["a", "b"]]})
        rewards = core_rewards(*zip(*(batch[i] for i in order), strict=True), known, known.sizes(), settings())
        back = tuple(reward for _, reward in sorted(zip(order, rewards, strict=True)))
        results.add((back, str(known.rows())))
        assert all(0 <= reward <= 0.5 or batch[i][1] for i, reward in zip(order, rewards, strict=True))
    assert len(results) == 1


def test_centred_wrong_trajectories_earn_nothing_on_average():
    known = sets({"p": [list("abcd")], "q": [list("ab")]})
    problems, correct = [*"pppp", *"qq"], [True, False, False, False, False, False]
    results = ["abcd", "ab", "a", "", "a", "a"]
    plain = core_rewards(problems, correct, results, known, {}, settings(update="frozen"))
    assert plain == [1.0, 0.5, 0.25, 0.0, 0.5, 0.5]
    rewards = core_rewards(problems, correct, results, known, {}, settings(update="frozen", centre="group"))
    assert rewards == [1.0, 0.25, 0.0, -0.25, 0.0, 0.0]  # the ranking stays, and so does the 1 of a correct one
