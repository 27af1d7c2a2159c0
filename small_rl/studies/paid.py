"""Verb: what CORE paid for in an RL stage, and what other rewards would have paid: paid.json, from its rollout store.

{"stage", "rewards": a row per reward as small_rl.rollouts.replay.Replayed, "steps", "separation": a row per step and
`quarters`: the same over quarters of the stage (small_rl.studies.separation), "missing": sentences}
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from polaris.stage.errors import UserError
from polaris.stage.settings import Section
from polaris.stage.stage import Stage, run_verb
from small_rl.rollouts import store, variants
from small_rl.studies import separation

QUARTERS = 4
LISTS = ("rewards", "steps", "separation", "quarters")  # empty where the store cannot be read


class Nothing(Section):
    """Every reward is tried on every stored step: there is nothing to set."""


def paid(folder: Path) -> dict[str, Any]:
    """The content of paid.json. folder: of a store. Raises UserError as small_rl.rollouts.variants.replayed."""
    found = variants.replayed(folder)
    assert found.stage.settings.core
    support = found.stage.settings.core.min_support
    steps = []
    for step in found.steps:
        rows = store.read_step(folder, step, separation.COLUMNS)
        groups = itertools.groupby(rows, key=lambda row: row["group"])
        steps.append([separation.group_numbers(list(group), support) for _, group in groups])
    return {
        "stage": found.stage.stage,
        "rewards": [asdict(row) for row in found.rewards],
        "steps": found.steps,
        "separation": [separation.means(groups) for groups in steps],
        "quarters": [
            {"first": found.steps[places[0]], "last": found.steps[places[-1]]}
            | separation.means(group for place in places for group in steps[place])
            for places in quarters(len(steps))
        ],
        "missing": found.missing,
    }


def quarters(steps: int) -> list[Sequence[int]]:
    """Places of the steps in four parts that are as equal as possible; fewer parts for fewer steps."""
    ends = [steps * part // QUARTERS for part in range(QUARTERS + 1)]
    return [range(a, b) for a, b in itertools.pairwise(ends) if b > a]


def main() -> None:
    inputs = ("trained", "start", "problems", "sets")
    with Stage.from_command_line("small_rl.studies.paid", Nothing, inputs=inputs, unchecked=inputs) as stage:
        try:
            numbers = paid(stage.inputs["trained"].folder / "log" / store.FOLDER)
        except UserError as error:  # no reason to have no report
            numbers = {"stage": stage.name, "missing": [str(error)]} | {name: [] for name in LISTS}
        (stage.partial / "paid.json").write_text(json.dumps(numbers, indent=1) + "\n")
        recorded = numbers["rewards"][0] if numbers["rewards"] else {}
        stage.say(
            f"{recorded['to_wrong']:.1%} of what was earned was earned by wrong responses"
            if recorded
            else f"nothing can be said: {numbers['missing'][0]}"
        )
        stage.publish(metrics={key: recorded.get(key) for key in ("signal", "paid", "process", "to_wrong")})


if __name__ == "__main__":
    run_verb(main)
