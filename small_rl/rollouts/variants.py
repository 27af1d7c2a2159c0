"""The other process rewards that `polaris replay` tries on a stage: each changes one thing of what was trained with."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from polaris.grading.grading_pool import GradingPool
from polaris.models.prompts import load_tokenizer
from polaris.stage.errors import UserError
from polaris.stage.records import CONSENSUS, read_problems, read_rows
from small_rl.reward.core import ConsensusSets, initial_sets, of_other_problems, scored_results
from small_rl.rl_settings import Core
from small_rl.rollouts import about, store
from small_rl.rollouts.replay import COLUMNS, Replayed, Variant, replay

RECORDED = "as recorded"
_TEXTS = ("response", "answer")  # beside COLUMNS, for what the store does not have
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
    "update: frozen": {"update": "frozen"},
    "update: online": {"update": "online"},
    "results: all": {"results": "all"},
    "results: intermediate": {"results": "intermediate"},
    "scope: answer": {"scope": "answer"},
    "scope: response": {"scope": "response"},
    "key: structure": {"key": "structure"},
    "key: string": {"key": "string"},
}


def replayed(folder: Path) -> list[Replayed]:
    """Every variant over the store of one stage; the first is the reward that it was trained with.

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
    steps = [store.read_step(folder, step, (*COLUMNS, *_TEXTS)) for step in _whole(folder)]
    results = _Results(stage, steps)
    normalised = stage.settings.std_normalization
    with results:
        return [replay(steps, variant, results.of, normalised) for variant in results.variants()]


def _whole(folder: Path) -> list[int]:
    """The stored steps. Raises UserError where one before the last is missing: the sets would lack what it taught."""
    steps = store.stored_steps(folder)
    if not steps:
        raise UserError(f"{folder}: no step is stored yet")
    if missing := set(range(1, steps[-1])) - set(steps):
        raise UserError(f"{store.step_file(folder, min(missing))}: this step is missing, and its results with it")
    return steps


class _Results:
    """What a stage's responses underlined, by the settings of a variant, and the sets that it starts from."""

    def __init__(self, stage: about.About, steps: Sequence[Sequence[dict[str, Any]]]):
        assert stage.settings.core and stage.consensus
        self.core = stage.settings.core
        self.golds = {id: problem["answers"] for id, problem in read_problems(stage.problems).items()}
        self.rows = read_rows(stage.consensus, CONSENSUS)
        tokenizer = load_tokenizer(stage.model)
        self.texts = {id(row): tokenizer.decode(row["response"]) for rows in steps for row in rows}
        grading = stage.settings.grading
        self.pool = GradingPool(grading.timeout, grading.workers, grading.grader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.close()

    def variants(self) -> Iterator[Variant]:
        yield Variant(RECORDED, self.core, self._sets(self.core, self.rows))
        yield Variant("no process reward", None, ConsensusSets(self.core.min_support))
        with_sets = list(dict.fromkeys(row["problem_id"] for row in self.rows))
        if len(with_sets) > 1:
            frozen = self.core.model_copy(update={"update": "frozen"})
            placebo = of_other_problems(self.rows, with_sets)
            yield Variant("sets of other problems", frozen, self._sets(frozen, placebo))
        for name, change in CHANGES.items():
            changed = self.core.model_copy(update=change)
            if changed != self.core:
                yield Variant(name, changed, self._sets(changed, self.rows))

    def of(self, rows: Sequence[dict[str, Any]], core: Core) -> list[Sequence[str]]:
        """As the training read them: from the store where they are the same, else from the texts."""
        read = ("results", "key", "scope")
        if all(getattr(core, key) == getattr(self.core, key) for key in read):
            return [row["results"] for row in rows]
        found: list[Sequence[str]] = []
        for row in rows:
            golds = self.golds[row["problem_id"]]
            answers = [*golds, row["answer"]] if row["correct"] and row["answer"] is not None else golds
            found.append(scored_results(self.texts[id(row)], answers, core))
        return [self.pool.keys(results) for results in found] if core.key == "structure" else found

    def _sets(self, core: Core, rows: Sequence[dict[str, Any]]) -> ConsensusSets:
        return initial_sets(rows, self.golds, core, self.pool.keys if core.key == "structure" else None)
