"""Answers per second: our grading pool against verl's path, DeepScaleR's grader and plain math-verify.

    python benchmarks/grading.py [--answers 400]

One run, one process for answers each, the same pairs in the same order, every grader after one warm-up answer. Two
mixes: AIME-like integers (with the usual spellings and wrong answers) and symbolic pairs of
tests/helpers/answer_pairs.py. No pair is asked twice, so that no grader profits from a cache. The CPU time is that of
all processes, which on a busy machine says more than the clock; it is known to 10 ms.
"""

import argparse
import logging
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from polaris.grading import deepscaler_equal
from polaris.grading.grading_pool import GradingPool
from tests.helpers.answer_pairs import OTHER, SAME

Pair = tuple[str, str]  # gold, answer
SPELLINGS = ("{}", "0{}", "{}.", "${}$", r"\text{{{}}}", r"{}^\circ", "{}.0", "x = {}")


def integers(count: int, random: random.Random) -> list[Pair]:
    """AIME answers 0..999 against each other: about half are right, in one of several spellings."""
    pairs = set()
    while len(pairs) < count:
        gold = random.randrange(1000)
        answer = gold if random.random() < 0.5 else random.randrange(1000)
        pairs.add((str(gold), random.choice(SPELLINGS).format(answer)))
    return sorted(pairs)


def symbolic() -> list[Pair]:
    """The pairs of the table that are more than a number on either side."""
    return [pair for pair in dict.fromkeys(SAME + OTHER) if not pair[0].lstrip("-").isdigit()]


def response(answer: str) -> str:
    return f"Therefore the answer is $\\boxed{{{answer}}}$."


def math_verify(gold: str, answer: str) -> bool:
    from math_verify import parse, verify

    return verify(parse(f"${gold}$"), parse(response(answer)))


def verl(gold: str, answer: str) -> bool:
    """verl's default reward for math data sets, `math_verify`."""
    from verl.utils.reward_score import math_verify

    return bool(math_verify.compute_score(response(answer), gold))


def deepscaler(gold: str, answer: str) -> bool:
    return deepscaler_equal.equal(gold, answer)


def one_by_one(grade: Callable[[str, str], bool]) -> Callable[[list[Pair]], list[bool]]:
    return lambda pairs: [grade(gold, answer) for gold, answer in pairs]


def cpu() -> float:
    """Seconds of CPU time of this process, of its children and of those that have ended."""
    living = psutil.Process().children(recursive=True)
    return sum(os.times()[:4]) + sum(one.cpu_times().user + one.cpu_times().system for one in living)


def measure(name: str, grade: Callable[[list[Pair]], list[bool]], pairs: list[Pair]) -> float:
    """CPU seconds for all pairs; prints the line."""
    grade([("x+1", "1+x")])
    started, cpu_before = time.perf_counter(), cpu()
    right = sum(grade(pairs))
    seconds, used = time.perf_counter() - started, cpu() - cpu_before
    rates = f"{len(pairs) / seconds:10.1f} answers/s {len(pairs) / used:10.1f} per CPU second"
    print(f"  {name:28} {rates}   {right:4} called correct", flush=True)
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=400, help="of the integer mix")
    mixes = {"integers": integers(parser.parse_args().answers, random.Random(0)), "symbolic": symbolic()}
    logging.disable(logging.CRITICAL)
    with GradingPool(timeout=10.0, workers=1) as pool:
        graders = {
            "ours, 1 process": lambda pairs: [
                v.correct for v in pool.grade([([gold], response(answer)) for gold, answer in pairs], "none")
            ],
            "plain math-verify": one_by_one(math_verify),
            "verl's math_verify": one_by_one(verl),
            "DeepScaleR (no time limit)": one_by_one(deepscaler),
        }
        for mix, pairs in mixes.items():
            print(f"{mix}: {len(pairs)} pairs")
            seconds = {name: measure(name, grade, pairs) for name, grade in graders.items()}
            ours = seconds.pop("ours, 1 process")
            print(
                "  times the CPU time of ours: "
                + ", ".join(f"{name} {other / ours:.1f}" for name, other in seconds.items())
            )


if __name__ == "__main__":
    main()
