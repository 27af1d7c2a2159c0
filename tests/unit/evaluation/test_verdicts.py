"""Rows of a graded table in any order -> one table of verdicts."""

import numpy as np

from polaris.evaluation import verdicts


def columns(**changed: list) -> dict[str, np.ndarray]:
    """Columns of two problems, b and a, with two samples each, out of order."""
    given = {"problem_id": ["b", "a", "b", "a"], "sample": [1, 0, 0, 1], "correct": [True, False, False, True]}
    given |= {"tokens": [9, 8, 7, 6], "finish_reason": ["length", "stop", "stop", "stop"]}
    given |= {"reason": ["exact", "no_answer", "timeout", "exact"], "answer": ["5.0", None, "7", "7."]} | changed
    return {name: np.array(values, dtype=object if name == "answer" else None) for name, values in given.items()}


def test_rows_in_any_order_give_the_same_table():
    table = verdicts.tabulate("here", columns(), {"a": 0.5, "b": None})
    assert table.problems == ("a", "b") and table.samples == 2
    assert table.correct_PG.tolist() == [[False, True], [False, True]]
    assert table.tokens_PG.tolist() == [[8, 6], [7, 9]]
    assert table.truncated_PG.tolist() == [[False, False], [False, True]]
    assert table.no_answer_PG.tolist() == [[True, False], [False, False]]
    assert table.ungraded_PG.tolist() == [[False, False], [True, False]]
    assert table.vote_PG[0, 0] == -1 and table.vote_PG[0, 1] == table.vote_PG[1, 0] != table.vote_PG[1, 1]  # 7. is 7
    assert table.distinct_P[0] == 0.5 and np.isnan(table.distinct_P[1])
