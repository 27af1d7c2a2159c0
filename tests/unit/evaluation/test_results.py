"""How the report spells numbers and verdicts."""

import pytest

from polaris.evaluation import results


@pytest.mark.parametrize(
    "interval, p, words",
    [((0.1, 0.2), 0.01, "higher"), ((-0.2, -0.1), 0.05, "lower"), ((-0.1, 0.1), 0.01, "no difference shown"),
     ((0.0, 0.1), 0.01, "no difference shown"), ((0.1, 0.2), 0.06, "no difference shown")],
)  # fmt: skip
def test_verdict(interval: tuple[float, float], p: float, words: str):
    assert results.verdict({"interval": interval, "p_holm": p}, 0.95) == words


def test_spelling_of_numbers():
    assert [results.percent(0.58906), results.points(0.0431), results.points(-0.0431)] == ["58.9", "+4.3", "−4.3"]
    assert results.points(-0.0004) == results.points(0.0004) == "0.0"
    assert results.span([0.561, 0.627]) == "[56.1, 62.7]"
