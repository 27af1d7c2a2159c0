"""The final answer of a response, gold answers in every layout, the reasons of verdicts, and a normal form of texts.

Pure and linear in the text's length. Whether an answer is right is decided in compare.py.
"""

import json
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

from polaris.grading.boxes import boxed_answer

Format = Literal["think", "none", "mention"]
Grader = Literal["polaris", "deepscaler"]

# Why a verdict is what it is. The first two are the correct ones; the last three say nothing about the answer.
EXACT = "exact"  # the same text in normal form, or the same plain number
EQUIVALENT = "equivalent"  # another spelling of a gold answer's value
DIFFERENT = "different"  # there is an answer, and it equals no gold answer
NO_THINK = "no_think"  # format think: there is no </think>
NO_ANSWER = "no_answer"  # no complete, non-empty box after the last </think>
TRUNCATED = "truncated"  # cut at max_tokens before there was an answer
TIMEOUT = "timeout"  # not decided within the deadline
CRASHED = "crashed"  # the grader died of it, twice
UNPARSEABLE_GOLD = "unparseable_gold"  # no rule reads any gold answer, and none is the same text
REASONS = (EXACT, EQUIVALENT, DIFFERENT, NO_THINK, NO_ANSWER, TRUNCATED, TIMEOUT, CRASHED, UNPARSEABLE_GOLD)
CORRECT = frozenset({EXACT, EQUIVALENT})
FAILURES = frozenset({TIMEOUT, CRASHED})

END_OF_THOUGHT = "</think>"
# What data sets write where a problem has no answer that can be graded.
NO_GOLDS = frozenset({
    "proof", "Proof", "None", "nan", "NaN", "null", "notfound", "not found", "N/A", "n/a", "See solution",
    "see solution",
})  # fmt: skip
MAX_NUMBER = 400  # characters of a plain number, and bound of a power of ten


def golds_from(value: Any) -> list[str]:
    """Accepted answers out of any layout of a data set: text, number, or (nested) list or array of them.

    142.0 becomes "142"; text is stripped and taken out of its box; empty text, None, NaN and what stands for them
    (NO_GOLDS) give nothing; a list that was written as JSON gives its texts. Order is kept, repetitions are not.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple | set | frozenset):
        return list(dict.fromkeys(gold for item in value for gold in golds_from(item)))
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = boxed_answer(str(value), bare=True)
    if text[:1] == "[" and '"' in text and (listed := _json_list(text)) is not None:
        return golds_from(listed)
    return [text] if text and text not in NO_GOLDS else []


def _json_list(text: str) -> list[str] | None:
    """The texts of a list that a data set wrote as JSON, and None for other texts: ["5"]."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return listed if isinstance(listed, list) and all(isinstance(each, str) for each in listed) else None


def find_answer(response: str, format: Format, golds: Sequence[str] = ()) -> tuple[str | None, str | None]:
    """The answer in the last box after the last `</think>`, or the reason why there is none: (answer, reason).

    format: `think` demands a `</think>`; with `none` a response without one is searched as a whole; with `mention` no
    box is asked for, and the answer is the first of `golds` that stands there as words, whatever their case: for plain
    questions with short responses, as a response that names everything is right.
    """
    _, end, rest = response.rpartition(END_OF_THOUGHT)
    if not end and format == "think":
        return None, NO_THINK
    if format == "mention":
        named = (gold for gold in golds if re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", rest, re.IGNORECASE))
        return (answer, None) if (answer := next(named, None)) else (None, NO_ANSWER)
    answer = boxed_answer(rest)
    return (answer, None) if answer else (None, NO_ANSWER)


# --- normal form --------------------------------------------------------------------------------------------------
_SIGNS = str.maketrans(
    {
        "−": "-",
        "×": r"\times ",
        "·": r"\cdot ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "π": r"\pi ",
        "∞": r"\infty ",
        "°": r"^\circ",
    }
)
_SENTENCE = re.compile(r"^\\(?:text|mbox)\s*\{[^{}]*\bis:?\s*\}(?=.)")  # "the answer is"
_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|boldsymbol|bm|mbox|underline)\s*\{|\\.|[{}]", re.DOTALL
)
_RULES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\?\$|(?<!\\)\\[()\[\]]", ""),
        (r"(?<=[0-9])\\[,! ](?=[0-9]{3}(?![0-9]))", ""),  # a thin space between thousands
        (r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits)(?![a-zA-Z])", ""),
        (r"(?<!\\)\\!", ""),
        (r"(?<!\\)\\[,;: ]|\\q?quad(?![a-zA-Z])|~", " "),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\leq(?![a-zA-Z])", r"\\le"),
        (r"\\geq(?![a-zA-Z])", r"\\ge"),
        (r"\\varnothing(?![a-zA-Z])", r"\\emptyset"),
        (r"\\langle(?![a-zA-Z])", "("),
        (r"\\rangle(?![a-zA-Z])", ")"),
        (r"\{,\}", ","),
        (r"\s+", " "),
        (r"(?<![0-9]) | (?![0-9])", ""),
        (r"\\frac([0-9])([0-9])(?![0-9])", r"\\frac{\1}{\2}"),
        (r"[.,;:]+$", ""),
        (r"^([+-]?[0-9.,]+)(?:\^\{?\\circ\}?|\\degree)$", r"\1"),
        (r"^\{([^{}]*)\}$", r"\1"),
        (r"^\]([^\[\]()]*,)", r"(\1"),  # ]0,1[ is (0,1)
        (r"(,[^\[\]()]*)\[$", r"\1)"),
        (r"^\(([A-Z])\)$", r"\1"),  # a choice: (C)
    )
)
_WORD = re.compile(r"[A-Za-z]{3,}")


def _without_wrappers(text: str) -> str:
    """The text without text and font commands around parts of it; as it is where braces do not match."""
    parts, open_braces, end = [], [], 0
    for token in _WRAPPER.finditer(text):
        mark = token[0]
        parts.append(text[end : token.start()])
        end = token.end()
        if mark == "}" and not open_braces:
            return text
        wrapper = open_braces.pop() if mark == "}" else len(mark) > 2
        if mark == "{" or len(mark) > 2:
            open_braces.append(wrapper)
        if not wrapper:
            parts.append(mark)
    return text if open_braces else "".join(parts) + text[end:]


def normal_form(text: str) -> str:
    r"""One spelling for the same answer: no dollars, no \left \right, no text wrappers, no spaces, \frac only.

    Two texts with the same normal form mean the same; the reverse does not hold.
    """
    text = text.translate(_SIGNS).strip()
    if text.isascii() and text.isdigit():
        return text
    text = _SENTENCE.sub("", text)
    text = _without_wrappers(text)
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    return text.casefold() if _WORD.fullmatch(text) else text


# --- plain numbers ------------------------------------------------------------------------------------------------
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_FRACTION = re.compile(r"([+-]?)(?:\\frac\{([+-]?[0-9]+)\}\{([+-]?[0-9]+)\}|([0-9]+)/([0-9]+))")
_MIXED = re.compile(r"([+-]?)([0-9]+)(?:\\frac\{([0-9]+)\}\{([0-9]+)\}| ([0-9]+)/([0-9]+))")
# With a point, a sign or two digits nobody means a multiple of Euler's number: 1.2e8, 6e+3, 6e23, but not 2e5.
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+[eE]|[eE](?=[+-]|[0-9]{2}))[+-]?[0-9]{1,3}")
_POWER = re.compile(r"(.+?)(?:\\times|\\cdot)10\^(?:\{([+-]?[0-9]{1,3})\}|([0-9]))")


def plain_number(text: str) -> Fraction | None:
    """The exact value of a normal form that is a number, else None.

    Numbers are integers, decimals, fractions of integers, mixed numbers, a x 10^n and 1.2e8.
    """
    if len(text) > MAX_NUMBER:
        return None
    if _DECIMAL.fullmatch(text):
        return Fraction(text)
    if _SCIENTIFIC.fullmatch(text):
        return Fraction(text) if abs(int(re.split("[eE]", text)[1])) <= MAX_NUMBER else None
    if _GROUPED.fullmatch(text):
        return Fraction(text.replace(",", ""))
    if match := _FRACTION.fullmatch(text):
        sign, a, b, c, d = match.groups()
        numerator, denominator = int(a or c), int(b or d)
        return Fraction(numerator if sign != "-" else -numerator, denominator) if denominator else None
    if match := _MIXED.fullmatch(text):
        sign, whole, a, b, c, d = match.groups()
        if not int(b or d):
            return None
        number = int(whole) + Fraction(int(a or c), int(b or d))
        return -number if sign == "-" else number
    if (match := _POWER.fullmatch(text)) and _DECIMAL.fullmatch(match[1]):
        exponent = int(match[2] or match[3])
        return Fraction(match[1]) * Fraction(10) ** exponent if abs(exponent) <= MAX_NUMBER else None
    return None
