"""The final answer of a response, and when two answers are the same as far as text and plain numbers can tell.

Pure and linear in the text's length: no expression of a model is evaluated here. What these rules leave open goes to
math-verify in a killable process (polaris/grading/grading_pool.py).
"""

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

from polaris.grading.units import conflict

Format = Literal["think", "none"]
Grader = Literal["math_verify", "deepscaler"]

# Why a verdict is what it is. The first two are the correct ones; the last three say nothing about the answer.
EXACT = "exact"  # the same text in normal form, or the same plain number
EQUIVALENT = "equivalent"  # math-verify proved it equal to a gold answer
DIFFERENT = "different"  # there is an answer, and it equals no gold answer
NO_THINK = "no_think"  # format think: there is no </think>
NO_ANSWER = "no_answer"  # no complete, non-empty box after the last </think>
TRUNCATED = "truncated"  # cut at max_tokens before there was an answer
TIMEOUT = "timeout"  # not decided within the deadline
CRASHED = "crashed"  # the grader died of it, twice
UNPARSEABLE_GOLD = "unparseable_gold"  # no gold answer can be read as an expression, and none is the same text
REASONS = (EXACT, EQUIVALENT, DIFFERENT, NO_THINK, NO_ANSWER, TRUNCATED, TIMEOUT, CRASHED, UNPARSEABLE_GOLD)
CORRECT = frozenset({EXACT, EQUIVALENT})
FAILURES = frozenset({TIMEOUT, CRASHED})

END_OF_THOUGHT = "</think>"
STRUCTURE = "sympy:"  # begins the key of a text that was read as an expression (GradingPool.keys)
MAX_ANSWER = 1000  # characters; a longer answer is compared as text only
MAX_NUMBER = 400  # characters of a plain number, and bound of a power of ten
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_ANY_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")


def last_box(text: str) -> str | None:
    r"""Content of the last complete `\boxed{...}` or `\fbox{...}` of a text, the outermost one where they are nested.

    `\{`, `\}` and `\\` do not count as braces. An opening without its closing brace is passed over; a complete box
    inside it counts. Linear in the length of the text.
    """
    first = _ANY_BOX.search(text)
    if first is None:
        return None
    box, open_braces = None, []
    for token in _BOX.finditer(text, first.start()):
        mark = token[0]
        if mark == "}":
            start = open_braces.pop() if open_braces else None
            if start is not None:
                box = (start, token.start())
        elif mark == "{":
            open_braces.append(None)
        elif len(mark) > 2:
            open_braces.append(token.end())
    return None if box is None else text[box[0] : box[1]]


def unboxed(text: str) -> str:
    """What stands in the innermost of the boxes around an answer, else the text itself; stripped."""
    for _ in range(4):
        inner = last_box(text)
        if inner is None:
            break
        text = inner
    return text.strip()


def find_answer(response: str, format: Format) -> tuple[str | None, str | None]:
    """The answer in the last box after the last `</think>`, or the reason why there is none: (answer, reason).

    format: `think` demands a `</think>`; with `none` a response without one is searched as a whole.
    """
    _, end, rest = response.rpartition(END_OF_THOUGHT)
    if not end and format == "think":
        return None, NO_THINK
    box = last_box(rest)
    answer = "" if box is None else unboxed(box)
    return (answer, None) if answer else (None, NO_ANSWER)


def golds_from(value: Any) -> list[str]:
    """Accepted answers out of any layout of a data set: text, number, or (nested) list or array of them.

    142.0 becomes "142"; text is stripped and taken out of its box; empty text, None and NaN give nothing. Order is
    kept, repetitions are not.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple | set | frozenset):
        return list(dict.fromkeys(gold for item in value for gold in golds_from(item)))
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = unboxed(str(value))
    return [text] if text else []


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
        (r"(?:\^\{?\\circ\}?|\\degree)$", ""),
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


_ASSIGNED = re.compile(r"^[A-Za-z](?:_\{?[A-Za-z0-9]\}?)?=(?=[^=]*$)")


def _amount(form: str) -> tuple[Fraction, bool] | None:
    """The number in a normal form, and whether it is a percentage."""
    bare = form.removesuffix("%").removesuffix("\\")
    number = plain_number(bare)
    return None if number is None else (number, bare != form)


def _same(a: tuple[Fraction, bool], b: tuple[Fraction, bool]) -> bool:
    """Equal amounts; 50% is 0.5, and also 50, since the question may have asked for percents."""
    (x, percent_x), (y, percent_y) = a, b
    return x == y or (percent_x and not percent_y and x == 100 * y) or (percent_y and not percent_x and y == 100 * x)


def compare(answer: str, golds: Sequence[str]) -> str | None:
    """EXACT or DIFFERENT where text and plain numbers decide it, in microseconds; None where they do not.

    Plain numbers are exact: 0.33 is not 1/3. Words (three letters and more) are compared as words, without case.
    """
    if len(answer) > MAX_ANSWER:
        return EXACT if answer in golds else DIFFERENT
    form, forms = normal_form(answer), [normal_form(gold) for gold in golds]
    if form in forms:
        return EXACT if form else DIFFERENT
    if golds and all(conflict(answer, gold) for gold in golds):
        return DIFFERENT
    if not any("=" in gold for gold in forms):
        form = _ASSIGNED.sub("", form)  # x=5 is 5; but y=3 is not x=3
    if amount := _amount(form):
        amounts = [_amount(gold if "=" in form else _ASSIGNED.sub("", gold)) for gold in forms]
        if any(other and _same(amount, other) for other in amounts):
            return EXACT
        if amounts and None not in amounts:
            return DIFFERENT
    if _WORD.fullmatch(form) and all(map(_WORD.fullmatch, forms)):
        return DIFFERENT
    return None
