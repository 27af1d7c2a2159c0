"""The supervised traces of tokens.parquet, held without a Python object per token.

Legend: _R trace (row), _T token.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polaris.stage.errors import UserError
from polaris.stage.records import TOKENS, read_table


@dataclass(frozen=True)
class Traces:
    """ids_T: tokens of all rows, one row after the other; offsets [rows + 1] into them; prompt_tokens_R."""

    path: Path
    ids_T: np.ndarray
    offsets: np.ndarray
    prompt_tokens_R: np.ndarray

    @property
    def lengths_R(self) -> np.ndarray:
        """Tokens of each trace, prompt and response."""
        return np.diff(self.offsets)

    def row(self, row: int) -> np.ndarray:
        """The tokens of one trace."""
        return self.ids_T[self.offsets[row] : self.offsets[row + 1]]

    def check(self, vocabulary: int, longest: int, limit_name: str) -> None:
        """Raises UserError: no trace, a token that the model has not, a trace without an answer, a trace too long."""
        if not len(self.prompt_tokens_R):
            raise UserError(f"{self.path}: there is no trace in it; nothing can be learned from it")
        lengths_R = self.lengths_R
        for wrong_R, text in (
            (
                lengths_R > longest,
                f"has {{length}} tokens, more than {limit_name} ({longest}); drop it or raise the limit",
            ),
            (self.prompt_tokens_R < 1, "has no prompt (prompt_tokens: {prompt})"),
            (self.prompt_tokens_R >= lengths_R, "has {length} tokens, all of them prompt: nothing to learn from"),
        ):
            if wrong_R.any():
                row = int(wrong_R.argmax())
                text = text.format(length=lengths_R[row], prompt=self.prompt_tokens_R[row])
                raise UserError(f"{self.path}: row {row} {text} ({int(wrong_R.sum())} such rows)")
        if self.ids_T.min() < 0 or self.ids_T.max() >= vocabulary:
            place = int(((self.ids_T < 0) | (self.ids_T >= vocabulary)).argmax())
            row = int(np.searchsorted(self.offsets, place, side="right")) - 1
            raise UserError(
                f"{self.path}: row {row} holds token {self.ids_T[place]}, but the model's vocabulary has {vocabulary}: "
                f"the traces were made with the tokenizer of another model"
            )


def read_traces(path: Path) -> Traces:
    """Raises UserError when the file is not a table of tokens."""
    table = read_table(path, TOKENS)
    chunks = table.column("input_ids").chunks
    ids_T = np.concatenate([np.zeros(0, np.int32), *(chunk.flatten().to_numpy() for chunk in chunks)])
    lengths = [chunk.value_lengths().to_numpy() for chunk in chunks]
    offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
    return Traces(path, ids_T, offsets, table.column("prompt_tokens").to_numpy())
