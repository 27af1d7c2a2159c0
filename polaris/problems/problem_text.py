r"""One spelling for the same problem text, as a list of tokens.

Two views: `tokens` keeps what changes the meaning (operators, `\sin` against `\cos`) and tells duplicates apart;
`words` leaves letters and digits only, so that a copy is known whatever became of its punctuation and LaTeX.
"""

import re
import unicodedata

# Marks of layout, not of meaning. A thousands separator and LaTeX's small spaces join what they stand between.
_RULES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\(?:begin|end)\s*\{[^{}]*\}", " "),
        (r"\\(?:left|right|bigg?[lr]?|displaystyle|textstyle|limits|q?quad)(?![a-z])", " "),
        (r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)(?![a-z])", " "),
        (r"(?<=[0-9])(?:,|\{,\}|\\,|\\!)+(?=[0-9]{3}(?![0-9]))", ""),
        (r"\\[,;:!>]", ""),
        (r"\\[dtc]frac(?![a-z])", r"\\frac"),
        (r"\\frac\s*([0-9])([0-9])", r"\\frac \1 \2"),
        (r"\\(times|cdot)(?![a-z])|[×·]", "*"),
        (r"\\div(?![a-z])|÷", "/"),
        (r"[−–]", "-"),
        (r"[\u3040-\u30ff\u3400-\u9fff]", r" \g<0> "),  # scripts without blanks: a character is a word
    )
)
# A command, letters, digits, an operator. A hyphen between words and the "!" of an exclamation are punctuation.
_TOKEN = re.compile(r"\\[a-z]+|[^\W\d_]+|[0-9]+|[+*/=<>^]|(?<![^\W\d_]{2})-(?![^\W\d_]{2})|(?<=[0-9)])!")
# Single letters stand together: `x y` is `xy`, and `B, C, D` is `BCD`; not "a" and "I", which begin sentences.
_SINGLES = re.compile(r"(?<= [b-hj-z]) (?=[b-hj-z] )")
_COMMANDS_AND_OPERATORS = re.compile(r"(?<= )(?:\\[a-z]+|[^\w\s]) ")


def _joined(text: str) -> str:
    """Tokens of a text, each between two blanks."""
    text = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    return " " + " ".join(_TOKEN.findall(text)) + " "


def tokens(text: str) -> list[str]:
    r"""Letters, digits, operators and LaTeX commands in one spelling: `$X+\dfrac12$` -> x + \frac 12."""
    return _joined(text).split()


def words(text: str) -> list[str]:
    r"""Letters and digits alone: `$X+\dfrac12$` -> x 12."""
    return _SINGLES.sub("", _COMMANDS_AND_OPERATORS.sub("", _joined(text))).split()
