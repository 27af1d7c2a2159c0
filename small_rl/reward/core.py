"""CORE: wrong trajectories earn for results that right trajectories of the same problem share.

V2 blog, "1. Process reward shaping": r = min(cap, |P & s| / |s|) with P the underlined results of a wrong trajectory
and s the problem's consensus set, made of the results of its correct trajectories. What the blog leaves open is a
setting (docs/reward.md); the literal reading is `results: all`, `denominator: current` and `guard: none`.
Legend: _R trajectory of a step's batch.
"""

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal, Protocol

from polaris.grading.answers import END_OF_THOUGHT
from small_rl.reward.intermediate import intermediate
from small_rl.reward.results import is_result, parse_results


class Settings(Protocol):
    """What this file reads of small_rl.rl_settings.Core."""

    cap: float
    min_support: int
    results: Literal["intermediate", "all"]
    scope: Literal["response", "answer"]
    update: Literal["online", "frozen"]
    denominator: Literal["current", "start"]
    guard: Literal["none", "precision"]
    centre: Literal["group"] | None


class ConsensusSets:
    """Per problem, the number of correct trajectories with each result. It only grows; only its owner changes it."""

    def __init__(self, min_support: int):
        """min_support: correct trajectories that must share a result before it belongs to the consensus."""
        self.min_support = min_support
        self._counts: dict[str, collections.Counter[str]] = {}

    def add(self, problem_id: str, results: Iterable[str]) -> None:
        """Count the results of one correct trajectory, each once."""
        if results := set(results):
            self._counts.setdefault(problem_id, collections.Counter()).update(results)

    def get(self, problem_id: str) -> frozenset[str]:
        """The problem's consensus set s; empty for an unknown problem."""
        counts = self._counts.get(problem_id, {})
        return frozenset(result for result, count in counts.items() if count >= self.min_support)

    def counts(self, problem_id: str) -> dict[str, int]:
        """Each of the problem's results with the number of correct trajectories that had it, a copy."""
        return dict(self._counts.get(problem_id, {}))

    def sizes(self) -> dict[str, int]:
        """|s| by problem, of the problems with a set that is not empty."""
        sizes = {problem_id: len(self.get(problem_id)) for problem_id in self._counts}
        return {problem_id: size for problem_id, size in sizes.items() if size}

    def __len__(self) -> int:
        """Problems with a set that is not empty."""
        return sum(any(n >= self.min_support for n in counts.values()) for counts in self._counts.values())

    def rows(self) -> list[dict[str, Any]]:
        """Rows of polaris.stage.records.CONSENSUS, sorted, with all counts; `from_rows` reads them back."""
        return [
            {"problem_id": problem_id, "step": result, "count": count}
            for problem_id, counts in sorted(self._counts.items())
            for result, count in sorted(counts.items())
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[dict[str, Any]], min_support: int) -> "ConsensusSets":
        sets = cls(min_support)
        for row in rows:
            sets._counts.setdefault(row["problem_id"], collections.Counter())[row["step"]] += row["count"]
        return sets


def process_reward(results: frozenset[str], consensus: frozenset[str], start_size: int, settings: Settings) -> float:
    """min(cap, |P & s| / n), and 0 while the consensus s is empty.

    n is |s|, or with `denominator: start` the size that s had when the training began (if it had any): s only grows,
    and the reward of the same trajectory would shrink. With `guard: precision` n is at least |P|: underlining
    everything does not pay.
    """
    if not consensus:
        return 0.0
    size = start_size if settings.denominator == "start" and start_size else len(consensus)
    if settings.guard == "precision":
        size = max(size, len(results))
    return min(settings.cap, len(results & consensus) / size)


def scored_results(response: str, answers: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """The underlined results of a trajectory that count, each once, in their order.

    Read from the whole response, or with `scope: answer` from what follows the last </think>. With `results:
    intermediate` those that state the final answer do not count.
    answers: the accepted ones, and for a correct trajectory its own spelling. A wrong answer is not among them: where
        it is an intermediate result of the correct trajectories, it earns as one.
    """
    results = parse_results(response.rpartition(END_OF_THOUGHT)[2] if settings.scope == "answer" else response)
    return intermediate(results, answers) if settings.results == "intermediate" else results


def initial_sets(
    rows: Iterable[dict[str, Any]],
    golds: Mapping[str, Sequence[str]],
    settings: Settings,
    keys: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> ConsensusSets:
    """The sets that a training starts from: the rows that count by `results`.

    The offline table has all results as texts, whatever the training makes of them.
    rows: of polaris.stage.records.CONSENSUS; golds: accepted answers by problem id; keys: for `key: structure`,
        GradingPool.keys; counts of texts with one key add up
    """
    rows = [row for row in rows if is_result(row["step"])]
    if settings.results == "intermediate":
        rows = [row for row in rows if intermediate([row["step"]], golds.get(row["problem_id"], ()))]
    if keys is not None:
        rows = [row | {"step": key} for row, key in zip(rows, keys([row["step"] for row in rows]), strict=True)]
    return ConsensusSets.from_rows(rows, settings.min_support)


def of_other_problems(rows: Iterable[dict[str, Any]], problem_ids: Sequence[str]) -> list[dict[str, Any]]:
    """A placebo: rows of records.CONSENSUS in which each problem has the set of the one after it, the last of the
    first.

    problem_ids: the problems with a set, two at least; sets keep their sizes and their texts, and say nothing here
    """
    before = dict(zip(problem_ids, [problem_ids[-1], *problem_ids[:-1]], strict=True))
    moved = [row | {"problem_id": before[row["problem_id"]]} for row in rows]
    return sorted(moved, key=lambda row: (row["problem_id"], row["step"]))


def core_rewards(
    problem_ids_R: Sequence[str],
    correct_R: Sequence[bool],
    results_R: Sequence[Iterable[str]],
    sets: ConsensusSets,
    start_sizes: Mapping[str, int],
    settings: Settings,
) -> list[float]:
    """Rewards of one RL step, 1 for a correct trajectory; then `sets` learns the results of the correct ones.

    All wrong trajectories are scored before anything is added, so that the order in the batch does not matter. With
    `centre: group` those of a problem earn 0 on average.
    results_R: as of `scored_results`; start_sizes: |s| by problem when the training began
    """
    rows = list(zip(problem_ids_R, correct_R, map(frozenset, results_R), strict=True))
    consensus = {problem_id: sets.get(problem_id) for problem_id in set(problem_ids_R)}
    rewards = [
        1.0 if ok else process_reward(results, consensus[pid], start_sizes.get(pid, 0), settings)
        for pid, ok, results in rows
    ]
    if settings.update == "online":
        for problem_id, ok, results in rows:
            if ok:
                sets.add(problem_id, results)
    return centred(problem_ids_R, correct_R, rewards) if settings.centre else rewards


def centred(problem_ids_R: Sequence[str], correct_R: Sequence[bool], rewards_R: Sequence[float]) -> list[float]:
    """The rewards, those of wrong trajectories less their mean over the problem's wrong ones of this step.

    PROGRS (Rezaei et al. 2026, arXiv 2604.02341), outcome-conditioned centering: a process reward ranks wrong
    trajectories, and does not make all of them better. A correct one keeps its 1.
    """
    wrong = collections.defaultdict(list)
    for problem_id, ok, reward in zip(problem_ids_R, correct_R, rewards_R, strict=True):
        if not ok:
            wrong[problem_id].append(reward)
    mean = {problem_id: fmean(rewards) for problem_id, rewards in wrong.items()}
    rows = zip(problem_ids_R, correct_R, rewards_R, strict=True)
    return [reward if ok else reward - mean[problem_id] for problem_id, ok, reward in rows]
