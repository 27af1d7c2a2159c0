r"""Worked solutions of one's own become responses, with think tags and without."""

import pytest

from polaris.problems.solutions import as_response, from_solutions


@pytest.mark.parametrize(
    ("solution", "golds", "response"),
    [
        ("<think>\n1+1\n</think>\n\n2", ["2"], "<think>\n1+1\n</think>\n\n2"),
        ("1+1\n</think>\n\n2", ["2"], "1+1\n</think>\n\n2"),  # the prompt opened the block
        ("1+1=2\n", ["2"], "<think>\n1+1=2\n</think>\n\n\\boxed{2}"),
        ("So \\boxed{\\frac{1}{2}}.", ["0.5"], "<think>\nSo \\boxed{\\frac{1}{2}}.\n</think>\n\n\\boxed{\\frac{1}{2}}"),
        ("Oak and elm.", [], "Oak and elm."),  # dropped as no_think, and counted
        ("<think>\n1+1", ["2"], "<think>\n1+1"),  # cut off, likewise
    ],
)
def test_think_tags(solution, golds, response):
    assert as_response(solution, golds) == response


def test_problems_without_a_solution_are_left_out():
    problems = {name: {"solution": text, "answers": ["2"]} for name, text in (("a", None), ("b", "1+1"), ("c", ""))}
    assert [(row["problem_id"], row["finish_reason"]) for row in from_solutions(problems)] == [("b", "stop")]
