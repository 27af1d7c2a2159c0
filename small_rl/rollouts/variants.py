"""The other process rewards that `polaris replay` tries on a stage: each changes one thing of what was trained with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from polaris.grading.answers import CORRECT, DIFFERENT
from polaris.grading.grading_pool import GradingPool
from polaris.grading.settings import Grader
from polaris.stage.errors import UserError
from polaris.stage.records import CONSENSUS, read_problems, read_rows
from small_rl.reward.core import ConsensusSets, initial_sets, of_other_problems
from small_rl.rl_settings import Core
from small_rl.rollouts import about, store
from small_rl.rollouts.replay import COLUMNS, Recorded, Replayed, Rows, Variant
from small_rl.rollouts.underlined import LIMIT, Underlined, tokens

RECORDED, OUTCOME, PLACEBO = "as recorded", "no process reward", "sets of other problems"
CHANGES: dict[str, dict[str, Any]] = {
    "cap 0.25": {"cap": 0.25},
    "cap 1": {"cap": 1.0},
    "guard: precision": {"guard": "precision"},
    "guard: none": {"guard": "none"},
    "min_support 1": {"min_support": 1},
    "min_support 2": {"min_support": 2},
    "min_support 4": {"min_support": 4},
    "denominator: start": {"denominator": "start"},
    "denominator: current": {"denominator": "current"},
    "centre: group": {"centre": "group"},
    "centre: null": {"centre": None},
    "update: frozen": {"update": "frozen"},
    "update: online": {"update": "online"},
    "results: all": {"results": "all"},
    "results: intermediate": {"results": "intermediate"},
    "scope: answer": {"scope": "answer"},
    "scope: response": {"scope": "response"},
    "key: structure": {"key": "structure"},
    "key: string": {"key": "string"},
}
_READ = ("results", "key", "scope")  # which results count


@dataclass(frozen=True)
class Counterfactuals:
    """rewards: of every variant, first the reward that the stage was trained with; missing: sentences about what could
    not be read or tried; steps: those that were; rows_S: their rows, with replay.COLUMNS
    """

    stage: about.About
    rewards: list[Replayed]
    missing: list[str]
    steps: list[int]
    rows_S: list[Rows]


def replayed(folder: Path) -> Counterfactuals:
    """Every variant over the store of one stage, through the last step before one that is missing or cut.

    Raises UserError for outcome rewards, where there are no sets to replay, and for a store that lacks rollouts.
    """
    stage = about.read(folder)
    if stage.settings.core is None or stage.consensus is None:
        raise UserError(f"{stage.stage}: it was trained with outcome rewards; replay is of the process reward of CORE")
    if stage.settings.rollout_store != "all":
        raise UserError(
            f"{stage.stage}: its store has some groups of each step (rollout_store: {stage.settings.rollout_store}), "
            "and the sets learned from all of them; train with `rollout_store: all`"
        )
    steps, missing = _steps(folder)
    recorded = Recorded(list(steps.values()), stage.settings.std_normalization)
    with _Results(stage, folder, steps) as results:
        rows = [recorded.replay(variant, results.of) for variant in results.variants()]
        return Counterfactuals(stage, rows, [*missing, *results.missing], list(steps), list(steps.values()))


def _steps(folder: Path) -> tuple[dict[int, Rows], list[str]]:
    """Step -> rows, and a sentence where a step is missing or cut: the sets would lack what it taught.

    Raises UserError where nothing comes before it.
    """
    stored = store.stored_steps(folder)
    if not stored:
        raise UserError(f"{folder}: no step is stored yet")
    steps: dict[int, Rows] = {}
    for step in range(1, stored[-1] + 1):
        if step not in stored:
            wrong = f"{store.step_file(folder, step)}: this step is missing, and its results with it"
        else:
            try:
                steps[step] = store.read_step(folder, step, COLUMNS)
                continue
            except UserError as error:
                wrong = str(error)
        if not steps:
            raise UserError(wrong)
        return steps, [f"{wrong}; what follows it is left out"]
    return steps, []


class _Results:
    """What a stage's responses underlined, by the settings of a variant, and the sets that it starts from."""

    def __init__(self, stage: about.About, folder: Path, steps: dict[int, Rows]):
        assert stage.settings.core and stage.consensus
        self.core, self.steps = stage.settings.core, steps
        self.golds = {id: problem["answers"] for id, problem in read_problems(stage.problems).items()}
        self.rows = read_rows(stage.consensus, CONSENSUS)
        grading = stage.settings.grading
        self.pool = GradingPool(grading.timeout, grading.workers, grading.grader)
        self.grading = grading
        self.many = tokens(folder, steps)
        self.texts = Underlined(folder, stage.model)
        self.missing: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.close()

    def variants(self) -> Iterator[Variant]:
        yield Variant(RECORDED, self.core, self._sets(self.core, self.rows))
        yield Variant(OUTCOME, None, ConsensusSets(self.core.min_support))
        with_sets = list(dict.fromkeys(row["problem_id"] for row in self.rows))
        if len(with_sets) > 1:
            frozen = self.core.model_copy(update={"update": "frozen"})
            placebo = of_other_problems(self.rows, with_sets)
            yield Variant(PLACEBO, frozen, self._sets(frozen, placebo))
        left_out = []
        for name, change in CHANGES.items():
            changed = self.core.model_copy(update=change)
            if changed == self.core:
                continue
            if self.many > LIMIT and not self._stored(changed):
                left_out.append(name)
                continue
            yield Variant(name, changed, self._sets(changed, self.rows))
        if self.many <= LIMIT:
            for grader in sorted(set(get_args(Grader)) - {self.grading.grader}):
                verdicts = self._verdicts(grader)
                yield Variant(f"grader: {grader}", self.core, self._sets(self.core, self.rows), verdicts)
        if left_out:
            self.missing.append(
                f"not tried, as they would read {self.many:,} tokens of text: {', '.join(left_out)}, other graders"
            )

    def of(self, rows: Rows, core: Core) -> list[Sequence[str]]:
        """As the training read them: from the store where they are the same, else from the texts."""
        if self._stored(core) and all(row["correct"] == (row["reason"] in CORRECT) for row in rows):
            return [row["results"] for row in rows]
        if core.key == "structure" and self._stored(core.model_copy(update={"key": self.core.key})):
            return [self.pool.keys(row["results"]) for row in rows]
        golds = [self.golds[row["problem_id"]] for row in rows]
        found = self.texts.scored(rows, golds, core)
        return [self.pool.keys(results) for results in found] if core.key == "structure" else found

    def _stored(self, core: Core) -> bool:
        return all(getattr(core, key) == getattr(self.core, key) for key in _READ)

    def _verdicts(self, grader: Grader) -> list[bool]:
        """Whether another grader takes each response for correct, where the answer was compared at all."""
        rows = [row for step in self.steps.values() for row in step]
        compared = [row["reason"] in CORRECT or row["reason"] == DIFFERENT for row in rows]
        asked = dict.fromkeys(
            (row["problem_id"], row["answer"]) for row, yes in zip(rows, compared, strict=True) if yes
        )
        with GradingPool(self.grading.timeout, self.grading.workers, grader) as pool:
            verdicts = pool.grade_answers([(self.golds[problem], answer) for problem, answer in asked])
        correct = {pair: verdict.correct for pair, verdict in zip(asked, verdicts, strict=True)}
        return [correct.get((row["problem_id"], row["answer"]), False) and yes
                for row, yes in zip(rows, compared, strict=True)]  # fmt: skip

    def _sets(self, core: Core, rows: Sequence[dict[str, Any]]) -> ConsensusSets:
        return initial_sets(rows, self.golds, core, self.pool.keys if core.key == "structure" else None)
