"""Why a problem does not suit training by its final answer, as far as its text and gold answers tell.

V2 blog, data: problems "unsuitable for automatic evaluation" are dropped; which, it does not say. Each rule here would
rather keep a doubtful problem than drop a good one.
"""

import re
from collections.abc import Collection, Sequence
from typing import Literal

from polaris.problems.choices import multiple_choice

Rule = Literal["no_gold", "prose_gold", "unparseable_gold", "proof", "multiple_choice", "multi_part"]
NO_GOLD, PROSE_GOLD, TOO_LONG = "no_gold", "prose_gold", "too_long"
PROOF, MULTIPLE_CHOICE, MULTI_PART = "proof", "multiple_choice", "multi_part"
PROSE = 6  # words of three letters and more; "no real solutions" is an answer, a sentence is a remark

_ASKS = re.compile(
    r"\b(?:find|determine|compute|calculate|evaluate|solve|what|how (?:many|much|long|far|old))\b", re.IGNORECASE
)
_PROVE = re.compile(
    r"(?:\A|[.!?:;,]|\n|\$|\\\]|\band|\bthen)\s*((?:prove|show|demonstrate)\s+(?:that|the)\b|prove\b)[^.\n]{0,60}",
    re.IGNORECASE,
)
_PART = re.compile(
    r"\(([a-e1-5]|i{1,3})\)[\s$]*(?:find|determine|compute|calculate|evaluate|solve|prove|show|what|how|why|express|write|"
    r"give|state|sketch|explain)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?<![\\\w])[^\W\d_]{3,}")
_BLANKS = re.compile(r"\s+")


def unsuitable(text: str, golds: Sequence[str], rules: Collection[Rule], max_characters: int) -> tuple[str, str] | None:
    """(reason, the text that shows it) for a problem to be left out, else None.

    rules: which of `Rule` apply (unparseable_gold is the grader's to say); max_characters: of the problem's text
    """
    if NO_GOLD in rules and not golds:
        return NO_GOLD, ""
    if PROSE_GOLD in rules and golds and all(len(_WORD.findall(gold)) >= PROSE for gold in golds):
        return PROSE_GOLD, golds[0]
    if len(text) > max_characters:
        return TOO_LONG, f"{len(text)} characters"
    text = _BLANKS.sub(lambda run: "\n" if "\n" in run[0] else " ", text)  # long runs would cost the rules cubic time
    if PROOF in rules and (evidence := proof(text)):
        return PROOF, evidence
    if MULTIPLE_CHOICE in rules and (evidence := multiple_choice(text, golds)):
        return MULTIPLE_CHOICE, evidence
    if MULTI_PART in rules and (evidence := multi_part(text)):
        return MULTI_PART, evidence
    return None


def proof(text: str) -> str | None:
    """The demand for a proof, where nothing else is asked ("Find all n. Prove that there are no others" has an
    answer).
    """
    demand = _PROVE.search(text)
    return demand[0].strip(" .,;:\n") if demand and not _ASKS.search(text) else None


def multi_part(text: str) -> str | None:
    """Two questions or more, each with its mark, such as `(a) Find ... (b) Prove ...`; lists of conditions are none."""
    parts = {match[1].lower(): match for match in reversed(list(_PART.finditer(text)))}
    return " ... ".join(match[0] for match in sorted(parts.values(), key=re.Match.start)) if len(parts) > 1 else None
