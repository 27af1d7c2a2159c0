"""CORE's part of one RL step: 512 responses of 30K tokens with 40 underlined results each, on one core.

    python benchmarks/core_step.py

Parsing, scoring and the update of the consensus sets with `key: string`; the keys of `key: structure` apart, in one
grading process, with the share of results that were new. A response of twice the length must not take more than
twice as long.
"""

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from polaris.grading.grading_pool import GradingPool
from small_rl.reward.core import ConsensusSets, core_rewards, scored_results
from small_rl.rl_settings import Core

RESPONSES, GROUP, TOKENS, SPANS, CHARACTERS_PER_TOKEN = 512, 8, 30_000, 40, 3.5
LITERAL = Core(
    cap=0.5, min_support=1, results="intermediate", key="string", scope="response",
    update="online", denominator="current", guard="none", consensus="rl_data",
)  # fmt: skip


def made_response(random: random.Random, tokens: int, spans: int) -> str:
    """Prose with formulas, `spans` of them underlined; a problem's responses share about half of their results."""
    filler = r"Now we consider the case $x_{1} + \frac{a}{b} = \{1, 2\}$ and simplify it further. "
    between = filler * max(1, int(tokens * CHARACTERS_PER_TOKEN / spans / len(filler)))
    results = [
        rf"\underline{{x_{{{random.randrange(80)}}} = \frac{{{random.randrange(9)}}}{{7}}}}" for _ in range(spans)
    ]
    return between.join(results) + "</think> $\\boxed{5}$"


def step(responses: list[str], sets: ConsensusSets) -> tuple[float, float]:
    """Seconds of parsing, and of scoring and updating."""
    started = time.perf_counter()
    results = [scored_results(response, ["5"], LITERAL) for response in responses]
    parsed = time.perf_counter()
    problems = [str(i // GROUP) for i in range(len(responses))]
    core_rewards(problems, [i % 3 == 0 for i in range(len(responses))], results, sets, {}, LITERAL)
    return parsed - started, time.perf_counter() - parsed


def main() -> None:
    source = random.Random(0)
    responses = [made_response(source, TOKENS, SPANS) for _ in range(RESPONSES)]
    print(f"{RESPONSES} responses, {sum(map(len, responses)) / 1e6:.0f} MB, {SPANS} underlined results each")
    parsing, scoring = min(step(responses, ConsensusSets(1)) for _ in range(3))
    print(f"  key: string      {parsing + scoring:6.2f} s   (parsing {parsing:.2f}, scoring and update {scoring:.2f})")
    longer = [made_response(source, 2 * TOKENS, 2 * SPANS) for _ in range(RESPONSES // 4)]
    twice = min(sum(step(longer, ConsensusSets(1))) for _ in range(3)) * 4 / (parsing + scoring)
    print(f"  twice the length {twice:6.2f} x the time")
    results = [result for response in responses for result in scored_results(response, ["5"], LITERAL)]
    with GradingPool(timeout=5.0, workers=1) as pool:
        pool.keys(["1+x"])
        started = time.perf_counter()
        pool.keys(results)
        first = time.perf_counter() - started
        pool.keys(results)
        again = time.perf_counter() - started - first
    print(
        f"  key: structure   {first:6.2f} s more for {len(set(results))} new of {len(results)} results, {again:.2f} s "
        "when they are known"
    )


if __name__ == "__main__":
    main()
