"""Substitution: groups without advantages are replaced by copies of informative groups of the same batch.

V1's scripts (`dyn_sampling_polaris`). As published it has no effect: the copied answers are graded again, against the
replaced problem's gold answer. Here a group is copied whole, with its prompt and its rewards, and nothing is graded
twice.
Legend: _P group of a step's batch, _G rollout of a group.
"""

from collections.abc import Sequence
from random import Random


def informative(rewards_G: Sequence[float]) -> bool:
    """Whether the rewards differ: GRPO's advantages of equal rewards are all 0.

    V1 asks for an accuracy between 0 and 1, which with rewards of 0 and 1 is the same. With CORE a group of wrong
    rollouts is informative where their process rewards differ.
    """
    return len(set(rewards_G)) > 1


def substitutes(rewards_PG: Sequence[Sequence[float]], min_informative: float, random: Random) -> list[int]:
    """Per group [P] the index of the group that takes its place; its own index where it stays.

    Each uninformative group becomes a copy of an informative one: without repeats where there are enough, otherwise
    drawn independently. With a smaller share of informative groups than `min_informative` all groups stay.
    """
    good = [i for i, rewards_G in enumerate(rewards_PG) if informative(rewards_G)]
    bad = [i for i, rewards_G in enumerate(rewards_PG) if not informative(rewards_G)]
    source_P = list(range(len(rewards_PG)))
    if good and len(good) >= min_informative * len(rewards_PG):
        chosen = random.sample(good, len(bad)) if len(good) >= len(bad) else random.choices(good, k=len(bad))
        for slot, source in zip(bad, chosen, strict=True):
            source_P[slot] = source
    return source_P
