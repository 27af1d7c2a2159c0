"""The front of several benchmarks."""

import itertools
import random

from polaris.report.front import front, front_rows

SCORES = {
    "a": (0.2, 0.9),
    "b": (0.9, 0.2),
    "c": (0.5, 0.5),
    "worse": (0.5, 0.4),
    "twin": (0.5, 0.5),
    "last": (0.1, 0.1),
}


def rows(scores):
    return [
        {"name": name, "benchmark": benchmark, "avg": score}
        for name, both in scores.items()
        for benchmark, score in zip(("x", "y"), both, strict=True)
    ]


def test_nobody_on_the_front_is_beaten_and_equals_stay():
    assert front_rows(rows(SCORES), ["x", "y"]) == ["a", "b", "c", "twin"]


def test_one_benchmark_two_models_or_an_extra_evaluation_make_no_front():
    assert front_rows(rows(SCORES), ["x"]) == []
    assert front_rows(rows({name: SCORES[name] for name in "ab"}), ["x", "y"]) == []
    assert front_rows(rows(SCORES | {"a@hot": (1.0, 1.0)}), ["x", "y"], {"a@hot": {}}) == ["a", "b", "c", "twin"]


def test_the_definition_on_random_scores():
    draw = random.Random(0)
    for _ in range(50):
        scores = {str(i): {"x": draw.randrange(5), "y": draw.randrange(5), "z": draw.randrange(5)} for i in range(8)}
        found = front(scores, ["x", "y", "z"])
        for name, other in itertools.permutations(scores, 2):
            at, theirs = scores[name], scores[other]
            beaten = all(theirs[key] >= at[key] for key in at) and any(theirs[key] > at[key] for key in at)
            assert not (beaten and name in found)
        assert found
