"""What stored responses underlined, read from their texts: for rewards that count other results than the training."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from polaris.grading.answers import END_OF_THOUGHT
from polaris.models.prompts import load_tokenizer
from small_rl.reward.core import Settings
from small_rl.reward.intermediate import intermediate
from small_rl.reward.results import parse_results
from small_rl.rollouts.store import read_step, step_file

LIMIT = 100_000_000  # tokens of a store that are read again; some minutes

Rows = Sequence[Mapping[str, Any]]
Results = tuple[str, ...]


def tokens(folder: Path, steps: Iterable[int]) -> int:
    """Tokens of all responses of some steps."""
    total = 0
    for step in steps:
        groups = pq.read_metadata(step_file(folder, step))
        for number in range(groups.num_row_groups):
            columns = (groups.row_group(number).column(i) for i in range(groups.num_columns))
            total += next(one.num_values for one in columns if one.path_in_schema.startswith("response."))
    return total


class Underlined:
    """The results of all responses of a step, and those after the thought; each text is read once.

    model: folder with the tokenizer
    """

    def __init__(self, folder: Path, model: Path):
        self.folder, self.model = folder, model
        self._tokenizer: Any = None
        self._read: dict[int, list[tuple[Results, Results]]] = {}

    def scored(self, rows: Rows, golds: Sequence[Sequence[str]], core: Settings) -> list[Sequence[str]]:
        """small_rl.reward.core.scored_results of the rows of one step. golds: the accepted answers of each"""
        found: list[Sequence[str]] = []
        for row, accepted, (whole, answer) in zip(rows, golds, self._step(rows[0]["step"]), strict=True):
            results = answer if core.scope == "answer" else whole
            own = [row["answer"]] if row["correct"] and row["answer"] is not None else []
            found.append(intermediate(results, [*accepted, *own]) if core.results == "intermediate" else results)
        return found

    def _step(self, step: int) -> list[tuple[Results, Results]]:
        if step not in self._read:
            self._tokenizer = self._tokenizer or load_tokenizer(self.model)
            texts = [self._tokenizer.decode(row["response"]) for row in read_step(self.folder, step, ("response",))]
            pairs = [(parse_results(text), text.rpartition(END_OF_THOUGHT)[2]) for text in texts]
            self._read[step] = [(whole, parse_results(answer)) for whole, answer in pairs]
        return self._read[step]
