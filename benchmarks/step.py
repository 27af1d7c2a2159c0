"""What a synchronous RL step waits for: 512 responses of up to 64K tokens on 32 GPUs, by simulation.

    python benchmarks/step.py [--steps 60]

A GPU writes one token of each of its responses in the time in which it reads the weights and the KV cache once (the
memory's bandwidth is the bound in decoding; its share that an engine reaches cancels in the ratios printed here). Room
in the cache and prompts are left out, as are the training and the transfer of weights.

Lengths are independent draws from a lognormal distribution, cut at the limit. One quantile is published: in RL with the
same limit the last tenth of the responses takes up to half of the rollout (Moonlight, 32 GPUs; Qin et al. 2025, Seer,
arXiv 2511.14617), so that nine of ten end within half of the limit, if all are written at one pace. A median is not
published; three are tried. Responses to one problem resemble each other, which these do not: in whole groups the wait
is rather shorter, and what is dropped or late is rather of the same problems again and again.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from polaris.hardware.gpus import GPUS
from polaris.hardware.shapes import KNOWN

MODEL, GPU, COUNT = KNOWN["Qwen/Qwen3-4B-Thinking-2507"], GPUS["H100-80GB"], 32
GROUPS, SIZE, LIMIT = 64, 8, 65_536
NINE_TENTHS = LIMIT // 2  # tokens
MEDIANS = (8_192, 16_384, 24_576)
WARM_UP = 20  # steps until the carried responses are of every age


@dataclasses.dataclass
class Response:
    """length: tokens until it ends; done: tokens that are written; old: of these, by earlier weights; age: in steps."""

    length: int
    group: int
    done: float = 0.0
    old: float = 0.0
    age: int = 0


@dataclasses.dataclass(frozen=True)
class Step:
    """seconds of the rollout; busy: share of the GPUs' time in which they write; what was trained and thrown away."""

    seconds: float
    busy: float
    trained: list[Response]
    wasted: float


def lengths(count: int, median: float, limit: int, rng: np.random.Generator) -> list[int]:
    """Lognormal with this median and nine tenths within NINE_TENTHS, cut at `limit`."""
    spread = math.log(NINE_TENTHS / median) / NormalDist().inv_cdf(0.9)
    return np.clip(np.rint(median * np.exp(spread * rng.standard_normal(count))), 1, limit).astype(int).tolist()


def write(mine: list[Response], until: float = math.inf) -> tuple[dict[int, float], float]:
    """One GPU writes its responses, at most for `until` seconds: place -> second of its end, and the seconds of work.

    With b responses of together S tokens in the cache, n tokens of each read n (weights + cache S) + cache b n (n-1)/2
    bytes; `done` moves along, at the end to a fraction of a token.
    """
    weights, cache = MODEL.weights / GPU.bandwidth, MODEL.cache() / GPU.bandwidth
    active, ended, clock = {place for place, one in enumerate(mine) if one.done < one.length}, {}, 0.0
    while active and clock < until:
        tokens = min(mine[place].length - mine[place].done for place in active)
        slope, half = weights + cache * sum(mine[place].done for place in active), cache * len(active) / 2
        seconds = tokens * slope + half * tokens * (tokens - 1)
        if clock + seconds > until:
            linear = slope - half
            tokens = (math.sqrt(linear**2 + 4 * half * (until - clock)) - linear) / (2 * half)
            seconds = until - clock
        clock += seconds
        for place in active:
            mine[place].done += tokens
        for place in [place for place in active if mine[place].length - mine[place].done < 1e-6]:
            ended[place] = clock
            active.remove(place)
    return ended, clock


def rollout(flying: list[Response], groups: int) -> Step:
    """All GPUs until so many groups are whole; what is unfinished then keeps the tokens that it has."""
    on_gpu: list[list[Response]] = [[] for _ in range(COUNT)]
    for one in sorted(flying, key=lambda one: -one.done):  # each to the engine with the fewest, as verl does
        min(on_gpu, key=len).append(one)
    second = {}
    for mine in on_gpu:
        trial = [dataclasses.replace(one) for one in mine]
        ended, _ = write(trial)
        second |= {id(one): ended.get(place, 0.0) for place, one in enumerate(mine)}
    whole: dict[int, float] = {}
    for one in flying:
        whole[one.group] = max(whole.get(one.group, 0.0), second[id(one)])
    chosen = sorted(whole, key=lambda group: whole[group])[:groups]
    until = whole[chosen[-1]] + 1e-9
    work = sum(write(mine, until)[1] for mine in on_gpu)
    wanted = set(chosen)
    trained = [one for one in flying if one.group in wanted]
    rest = sum(one.done for one in flying if one.group not in wanted)
    return Step(until, work / (COUNT * until), trained, rest)


def steps(count: int, draw: Callable[[int], list[int]], spare: float, carry: bool) -> list[Step]:
    """So many steps with `spare` groups in flight beyond those that are trained; carry: the rest goes on next time."""
    flying: list[Response] = []
    found, number, wanted = [], 0, round(GROUPS * (1 + spare))
    for _ in range(WARM_UP * carry + count):
        while len(flying) < wanted * SIZE:
            flying += [Response(length, number) for length in draw(SIZE)]
            number += 1
        step = rollout(flying, GROUPS)
        ended = {one.group for one in step.trained}
        flying = [one for one in flying if one.group not in ended] if carry else []
        for one in flying:
            one.old, one.age = one.done, one.age + 1
        found.append(dataclasses.replace(step, wasted=0.0 if carry else step.wasted))
    return found[-count:]


def summary(found: list[Step], once: float) -> dict[str, float]:
    """Means over steps. once: seconds of the synchronous step; shares of tokens are of those that were trained on."""
    trained = [one for step in found for one in step.trained]
    tokens = sum(one.length for one in trained)
    return {
        "seconds": float(np.mean([step.seconds for step in found])) / once,
        "waiting": 1 - float(np.average([step.busy for step in found], weights=[step.seconds for step in found])),
        "thrown away": sum(step.wasted for step in found) / tokens,
        "mean length": tokens / len(trained),
        "old tokens": sum(one.old for one in trained) / tokens,
        "oldest": max(one.age for one in trained),
    }


WAYS = {  # name -> (limit, spare groups, carried on)
    "synchronous": (LIMIT, 0.0, False),
    "10 % more, first 64 groups": (LIMIT, 0.1, False),
    "25 % more, first 64 groups": (LIMIT, 0.25, False),
    "partial rollouts, 10 % more": (LIMIT, 0.1, True),
    "partial rollouts, 25 % more": (LIMIT, 0.25, True),
    "limit 48K": (LIMIT * 3 // 4, 0.0, False),
    "limit 32K": (LIMIT // 2, 0.0, False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    for median in MEDIANS:
        once = 0.0
        print(f"median {median} tokens")
        for name, (limit, spare, carry) in WAYS.items():
            rng = np.random.default_rng(0)
            found = steps(args.steps, lambda size: lengths(size, median, limit, rng), spare, carry)  # noqa: B023
            once = once or float(np.mean([step.seconds for step in found]))
            numbers = summary(found, once)
            cut = np.mean([one.length == limit for step in found for one in step.trained])
            print(f"  {name:28}", "  ".join(f"{key} {value:.3g}" for key, value in numbers.items()), f" cut {cut:.2%}")
        print(f"  the synchronous rollout takes {once:.0f} s at full bandwidth")


if __name__ == "__main__":
    main()
