"""The arithmetic of benchmarks/step.py: what a GPU writes in which time, and what a step trains on."""

import numpy as np
import pytest

from benchmarks import step
from benchmarks.step import GPU, GROUPS, LIMIT, MODEL, NINE_TENTHS, SIZE, Response

WEIGHTS, CACHE = MODEL.weights / GPU.bandwidth, MODEL.cache() / GPU.bandwidth


def flying(*lengths: int) -> list[Response]:
    return [Response(length, number) for number, length in enumerate(lengths)]


def test_a_gpu_reads_weights_and_cache_once_per_token():
    """Token by token, responses leaving one after the other."""
    ended, clock = step.write(flying(40, 100, 7))
    seconds, expected = 0.0, {}
    for token in range(100):
        active = [place for place, length in enumerate((40, 100, 7)) if length > token]
        seconds += WEIGHTS + CACHE * token * len(active)
        expected |= {place: seconds for place in active if (40, 100, 7)[place] == token + 1}
    assert ended == pytest.approx(expected) and clock == pytest.approx(seconds)


def test_stopped_and_continued_it_writes_the_same():
    whole, parts = flying(40, 100, 7), flying(40, 100, 7)
    _, seconds = step.write(whole)
    ended, first = step.write(parts, seconds / 3)
    assert first == seconds / 3 and set(ended) < {0, 1, 2}
    assert 0 < parts[1].done < 100 and parts[1].done != round(parts[1].done)
    _, rest = step.write(parts)
    assert first + rest == pytest.approx(seconds)
    assert [one.done for one in parts] == pytest.approx([40, 100, 7])


def test_who_waits_for_the_longest():
    """A response on each GPU, all alike but one of twice the length; the others wait for its second half."""
    same = step.rollout(flying(*[1000] * step.COUNT), step.COUNT)
    assert same.busy == pytest.approx(1.0)
    longer = step.rollout(flying(2000, *[1000] * (step.COUNT - 1)), step.COUNT)
    alone = lambda n: n * WEIGHTS + CACHE * n * (n - 1) / 2
    assert longer.seconds == pytest.approx(alone(2000))
    assert longer.busy == pytest.approx((alone(2000) + 31 * alone(1000)) / (32 * alone(2000)))


def test_the_first_whole_groups_are_trained_and_the_rest_keeps_its_tokens():
    responses = [Response(length, group) for group, length in enumerate((100, 300, 200)) for _ in range(2)]
    found = step.rollout(responses, 2)
    assert {one.group for one in found.trained} == {0, 2}
    assert all(one.done == pytest.approx(one.length) for one in found.trained)
    late = [one for one in responses if one.group == 1]
    assert all(one.done == pytest.approx(200, abs=0.01) for one in late)
    assert found.wasted == pytest.approx(sum(one.done for one in late))


def test_lengths_have_the_quantiles_they_are_fitted_to():
    drawn = np.array(step.lengths(200_000, 8192, LIMIT, np.random.default_rng(0)))
    assert np.median(drawn) == pytest.approx(8192, rel=0.02)
    assert np.quantile(drawn, 0.9) == pytest.approx(NINE_TENTHS, rel=0.02)
    assert drawn.max() == LIMIT and drawn.min() >= 1


@pytest.mark.parametrize(("spare", "carry"), [(0.0, False), (0.25, False), (0.25, True)])
def test_every_step_trains_on_as_many(spare, carry):
    rng = np.random.default_rng(1)
    found = step.steps(2, lambda size: step.lengths(size, 8192, LIMIT, rng), spare, carry)
    assert [len(one.trained) for one in found] == [GROUPS * SIZE] * 2
    numbers = step.summary(found, found[0].seconds)
    assert 0 < numbers["waiting"] < 1
    assert (numbers["thrown away"] > 0) == (spare > 0 and not carry)
    assert (numbers["old tokens"] > 0) == (numbers["oldest"] > 0) == carry
    assert all(one.old <= one.length for each in found for one in each.trained)


def test_what_is_carried_on_is_not_shorter_in_the_end():
    """Early stopping drops long responses, partial rollouts do not."""
    mean = {}
    for carry in (False, True):
        rng = np.random.default_rng(2)
        found = step.steps(8, lambda size: step.lengths(size, 8192, LIMIT, rng), 0.25, carry)  # noqa: B023
        mean[carry] = step.summary(found, 1.0)["mean length"]
    expected = np.mean(step.lengths(100_000, 8192, LIMIT, np.random.default_rng(3)))
    assert mean[True] == pytest.approx(expected, rel=0.06) and mean[False] < 0.95 * expected
