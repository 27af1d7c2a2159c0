"""Requests in, finished responses on disk: the part of generation that one engine does.

Several engines may work on one folder, each with a number of its own (polaris/generation/replicas.py).
"""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from polaris.generation import vllm_engine
from polaris.generation.harmony import Harmony, thought_then_said
from polaris.stage.errors import UserError
from polaris.stage.records import read_rows, write_rows
from polaris.stage.terminal import say

SHARD_RESPONSES = 512
SHARD_SECONDS = 20.0  # what a kill may cost, besides the responses in flight
SHARD = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        pa.field("response", pa.string(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("finish_reason", pa.string(), nullable=False),
    ]
)
# Kept in the text although some tokenizers count them among the special tokens: grading reads them.
KEPT_SPECIAL = ("<think>", "</think>")


class Decoder:
    """Token ids to text: special tokens and the token that ended the response go, think tags stay.

    A response in the harmony format (polaris/generation/harmony.py) gets think tags of its own.
    """

    def __init__(self, tokenizer: Any):
        self._tokenizer, self._harmony = tokenizer, Harmony(tokenizer)
        kept = {tokenizer.convert_tokens_to_ids(tag) for tag in KEPT_SPECIAL}
        self._dropped = set(tokenizer.all_special_ids) - kept

    def text(self, answer: vllm_engine.Completion) -> str:
        # A response that ended by itself ends with the token that said so, special or not.
        tokens = answer.token_ids[:-1] if answer.finish_reason == "stop" else answer.token_ids
        if messages := list(self._harmony.messages(tokens)):
            return thought_then_said([(self._decoded(channel), self._decoded(text)) for channel, text in messages])
        return self._decoded(tokens)

    def _decoded(self, tokens: list[int]) -> str:
        shown = [token for token in tokens if token not in self._dropped]
        return self._tokenizer.decode(shown, skip_special_tokens=False, clean_up_tokenization_spaces=False)


class Shards:
    """Finished responses on disk, by key. A shard is written beside and renamed, so that it is whole or not there.

    One that cannot be read all the same (a disk that filled up or lost power) is set aside, and its responses are
    generated again, the same ones as before.
    writer: number of the engine that adds to them; others: whether all engines' shards are read
    """

    def __init__(self, folder: Path, writer: int = 0, others: bool = True):
        self.folder, self.writer = folder, writer
        self.rows: dict[int, dict[str, Any]] = {}
        self.tokens = 0  # of all rows
        self._read: set[Path] = set()
        self._new: list[dict[str, Any]] = []
        self._written = time.monotonic()
        numbers = [int(path.stem.rpartition("-")[2]) for path in folder.glob(f"shard-{writer}-*.parquet")]
        self._number = max(numbers, default=-1) + 1  # of the next shard
        if others:
            self.look()

    def look(self) -> None:
        """Read the shards that are new since the last look."""
        for path in sorted(set(self.folder.glob("shard-*.parquet")) - self._read):
            try:
                rows = read_rows(path, SHARD)
            except UserError as error:
                aside = path.rename(path.with_name(f"unreadable-{path.name}"))
                say(f"{error}; it is {aside.name} now, and its responses are generated again", sys.stderr)
                continue
            for row in rows:
                self._count(row)
            self._read.add(path)

    def add(self, row: dict[str, Any]) -> None:
        self._count(row)
        self._new.append(row)
        if len(self._new) >= SHARD_RESPONSES or time.monotonic() - self._written > SHARD_SECONDS:
            self.flush()

    def _count(self, row: dict[str, Any]) -> None:
        self.tokens += 0 if row["key"] in self.rows else row["tokens"]
        self.rows[row["key"]] = row

    def flush(self) -> None:
        self._written = time.monotonic()
        if not self._new:
            return
        path = self.folder / f"shard-{self.writer}-{self._number:06d}.parquet"
        partial = path.with_name(path.name + ".partial")
        write_rows(partial, self._new, SHARD)
        partial.rename(path)
        self._read.add(path)
        self._number += 1
        self._new = []


def answer(
    todo: Iterable[vllm_engine.Request],
    engine: vllm_engine.VllmEngine,
    shards: Shards,
    tokenizer: Any,
    done: Callable[[], None] = lambda: None,
) -> None:
    """Generate every response of `todo` into `shards`, with an engine that runs; `done` is called after each."""
    decoder = Decoder(tokenizer)
    for completion in engine.generate(todo):
        shards.add(
            {
                "key": completion.key,
                "response": decoder.text(completion),
                "tokens": len(completion.token_ids),
                "finish_reason": completion.finish_reason,
            }
        )
        done()
    shards.flush()
