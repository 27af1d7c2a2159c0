"""A response as pieces of text: what it underlined, and what the consensus sets knew of that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from small_rl.reward.core import Settings, scored_results
from small_rl.reward.results import result_form, underlined_spans

KNOWN, NEW, ANSWER, NOTHING = "known", "new", "answer", "nothing"


@dataclass(frozen=True)
class Piece:
    """kind: "" for plain text; of an underlined one `known` to the consensus set, `new` to it, the `answer`, which does
    not count, or `nothing`: no result. count: correct responses that had it before the step
    """

    text: str
    kind: str = ""
    count: int | None = None


def pieces(text: str, row: dict[str, Any], golds: Sequence[str], core: Settings | None) -> list[Piece]:
    """A response cut at its underlined spans. row: of store.ROLLOUTS; golds: the accepted answers."""
    counts = _counts_by_form(text, row, golds, core)
    found, end = [], 0
    for start, stop in underlined_spans(text):
        form = result_form(text[start:stop])
        found += [Piece(text[end:start]), _piece(text[start:stop], form, counts, core)]
        end = stop
    return [piece for piece in (*found, Piece(text[end:])) if piece.text]


def _piece(text: str, form: str, counts: dict[str, int], core: Settings | None) -> Piece:
    if not form:
        return Piece(text, NOTHING)
    if core is None:
        return Piece(text, NEW)
    if form not in counts:
        return Piece(text, ANSWER)
    return Piece(text, KNOWN if counts[form] >= core.min_support else NEW, counts[form])


def _counts_by_form(text: str, row: dict[str, Any], golds: Sequence[str], core: Settings | None) -> dict[str, int]:
    """Normal form of each result that counts -> its count. The store has results by their keys, in the same order."""
    if core is None or row["counts"] is None:
        return {}
    answers = [*golds, row["answer"]] if row["correct"] else golds
    forms = scored_results(text, answers, core)
    return dict(zip(forms, row["counts"], strict=False))
