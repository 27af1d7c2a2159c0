"""The reward court of one stage: what known hacks earn by its reward, written into its log before it trains."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from polaris.grading.grading_pool import GradingPool
from polaris.grading.settings import Grading
from polaris.stage.errors import UserError
from polaris.stage.json_files import read_json
from polaris.stage.manifest import replace_file
from polaris.stage.records import CONSENSUS, read_rows
from small_rl.reward.core import ConsensusSets
from small_rl.reward.court import BLIND, Outcome, Problem, tried
from small_rl.rl_settings import Core

NAME = "court.json"  # in a stage's log/
HEARD = 256  # problems with a set, and as many without, on which the hacks are tried


def hold(problems: dict[str, dict[str, Any]], core: Core, grading: Grading, start_sets: Path, out: Path) -> Outcome:
    """Try every hack, write `out`; the worst of those that know the problem's text alone.

    problems: rows of records.PROBLEMS by id; start_sets: consensus.parquet with which the stage begins
    Raises UserError where that one earns more than `core.max_hack_reward`.
    """
    sets = ConsensusSets.from_rows(read_rows(start_sets, CONSENSUS), core.min_support)
    known = [name for name in problems if sets.get(name)][:HEARD]
    others = [name for name in problems if not sets.get(name)][:HEARD]
    tables = [
        Problem(name, problems[name]["problem"], problems[name]["answers"], sorted(sets.get(name)))
        for name in [*known, *others]
    ]
    with GradingPool(grading.timeout, grading.workers, grading.grader) as pool:
        keys = pool.keys if core.key == "structure" else list
        found = tried(tables, core, sets, lambda pairs: pool.grade(pairs, grading.format), keys)
    replace_file(out, json.dumps([dataclasses.asdict(row) for row in found], indent=1) + "\n")
    worst = max((row for row in found if row.hack in BLIND), key=lambda row: row.mean)
    if core.max_hack_reward is not None and worst.mean > core.max_hack_reward:
        raise UserError(
            f"core.max_hack_reward: `{worst.hack}` earns {worst.mean:.3f} a response, above {core.max_hack_reward:g}, "
            f"most at problem {worst.example} ({out}); try `guard: precision`, `results: intermediate` or a larger "
            "`min_support`"
        )
    return worst


def read(path: Path) -> list[dict[str, Any]]:
    """The table of a stage. Raises UserError where there is none."""
    if not path.is_file():
        raise UserError(f"{path}: there is no table of hacks; a stage with `reward: core` writes it when it starts")
    return read_json(path)
