"""The reward court of every shipped recipe: the table of docs/reward.md, kept by tests/unit/benchmarks/test_court.py.

    python benchmarks/court.py

The hacks are tried on 64 made-up problems of either family of the laptop, each with the results of its worked solution
as consensus set, written in one of three ways. Rewards that differ in what the first step cannot show (where the sets
start, whether they learn, the centre) share a column.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from polaris.grading.grading_pool import GradingPool
from polaris.problems.make_problems import rows
from polaris.problems.settings import MadeProblems
from polaris.recipe import recipe
from polaris.recipe.layers import SHIPPED
from polaris.stage.errors import UserError
from small_rl.reward.core import ConsensusSets, initial_sets
from small_rl.reward.court import BLIND, HACKS, Outcome, Problem, tried
from small_rl.reward.results import parse_results
from small_rl.rl_settings import Core

UNSEEN = {"consensus", "update", "denominator", "centre", "max_hack_reward"}
PROBLEMS = 64


def shipped() -> dict[str, Core]:
    """The different process rewards of all shipped recipes, by the first of them: `laptop: core`."""
    found: dict[str, Core] = {}
    for path in sorted(SHIPPED.glob("*.yaml"), key=lambda path: (path.stem != "polaris_v2", path.stem)):
        below = "smollm2" if path.stem.startswith("smollm2_") else "laptop"
        try:
            loaded = recipe.load([str(path)])
        except UserError:
            loaded = recipe.load([str(SHIPPED / f"{below}.yaml"), str(path)])  # an overlay
        for name, stage in loaded.small_rl.rl.items() if loaded.small_rl else ():
            seen = [one.model_dump(exclude=UNSEEN) for one in found.values()]
            if stage.core and stage.core.model_dump(exclude=UNSEEN) not in seen:
                found[f"{path.stem}: {name}"] = stage.core
    return found


def written(result: str, number: int) -> str:
    """A result as models write it: the whole equation, its ends, or the value; in turns by the problem's number."""
    first, *_, last = result.split("=")
    return (result, f"{first}={last}", last)[number % 3]


def ground(core: Core) -> tuple[list[Problem], ConsensusSets]:
    """The problems, and their sets as a training begins with them."""
    made = []
    for family in ("chain", "digits"):
        asked = MadeProblems(family=family, pool="train", count=PROBLEMS, depth=(3, 6), error_rate=0.0, seed=1)
        made += rows(asked)
    known = [
        {"problem_id": row["id"], "step": written(result, number), "count": 1}
        for number, row in enumerate(made)
        for result in parse_results(row["solution"])
    ]
    sets = initial_sets(known, {row["id"]: row["answers"] for row in made}, core)
    return [Problem(row["id"], row["problem"], row["answers"], sorted(sets.get(row["id"]))) for row in made], sets


def outcomes(core: Core) -> list[Outcome]:
    problems, sets = ground(core)
    with GradingPool(5.0, 1) as pool:
        keys = pool.keys if core.key == "structure" else list
        return tried(problems, core, sets, lambda pairs: pool.grade(pairs, "think"), keys)


def table() -> list[str]:
    """The lines of the table, in Markdown."""
    rewards = shipped()
    literal = next(iter(rewards.values())).model_copy(update={"results": "all"})
    columns = {f"`{name}`": core for name, core in rewards.items()} | {"`results: all` (no recipe)": literal}
    found = [outcomes(core) for core in columns.values()]
    lines = [f"| a response | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name, *by_reward in zip(HACKS, *found, strict=True):
        knows = "" if name in BLIND else " *"
        cells = [f"{one.mean:.3f}" + (f" ({one.correct:.0%} correct)" if one.correct else "") for one in by_reward]
        lines.append(f"| {name}{knows} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
