"""Which engine takes which response."""

from collections import defaultdict


def spread(responses: int, busy: list[int]) -> dict[int, list[int]]:
    """For each engine that takes some of so many responses their numbers: each goes to the engine with the fewest.

    busy: responses that each engine has; the new ones are added
    """
    taken = defaultdict(list)
    for number in range(responses):
        engine = busy.index(min(busy))
        busy[engine] += 1
        taken[engine].append(number)
    return dict(taken)
