r"""V1's notion of the same answer: DeepScaleR's grader, kept for fidelity to Polaris-V1 (`grader: deepscaler`).

Two normal forms, those of Hendrycks' MATH release and of PRM800K, and sympy for what is left. It misses unreduced
fractions, powers `^{...}`, sets and inequalities, and takes y=3 for x=3; docs/reward.md has the numbers.
DeepScaleR gives the text to sympy's parser, which executes it as Python; polaris/grading/formula.py reads it here.
Only polaris/grading/grading_worker.py imports this: sympy simplifies without a bound in time.
"""

import contextlib
import re

import sympy
from pylatexenc.latex2text import LatexNodes2Text

from polaris.grading import formula

_ENCLOSING_TEXT = re.compile(r"^\\text\{(.+?)\}$")
_UNITS = [
    "degree",
    "cm",
    "centimeter",
    "meter",
    "mile",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "foot",
    "feet",
    "inch",
    "yard",
]


def equal(gold: str, answer: str) -> bool:
    """Whether DeepScaleR's grader accepts the answer."""
    return hendrycks_form(gold) == hendrycks_form(answer) or _prm800k_equal(gold, answer)


def hendrycks_form(text: str) -> str:
    """MATH's normal form: no units on the right, percents, degrees or left-hand sides; one spelling of fractions."""
    text = text.strip()
    enclosed = _ENCLOSING_TEXT.search(text)
    text = (enclosed[1].strip() if enclosed else text).replace("\n", "").replace("\\!", "").replace("\\\\", "\\")
    for old, new in (("tfrac", "frac"), ("dfrac", "frac"), ("\\left", ""), ("\\right", "")):
        text = text.replace(old, new)
    for old in ("^{\\circ}", "^\\circ", "\\$"):
        text = text.replace(old, "")
    if "\\text{ " in text:  # a unit; with two of them MATH's code fails, and leaves the text as it was
        parts = text.split("\\text{ ")
        if len(parts) != 2:
            return enclosed[1].strip() if enclosed else text
        text = parts[0]
    text = text.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if text.startswith("."):
        text = "0" + text
    left, equals, right = text.partition("=")
    if equals and "=" not in right and len(left) <= 2:
        text = right
    text = re.sub(r"\\sqrt([^{])", r"\\sqrt{\1}", text).replace(" ", "")
    text = re.sub(r"\\frac([^{])([^{])", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac([^{])\{", r"\\frac{\1}{", text)
    text = "\\frac{1}{2}" if text == "0.5" else text
    return re.sub(r"^(0|-?[1-9][0-9]*)/(0|-?[1-9][0-9]*)$", r"\\frac{\1}{\2}", text)


def prm800k_form(text: str) -> str:
    """PRM800K's normal form: a text that sympy's parser may read."""
    enclosed = _ENCLOSING_TEXT.search(text)
    text = (enclosed[1] if enclosed else text).replace("\\%", "").replace("\\$", "").replace("$", "").replace("%", "")
    text = text.replace(" or ", " , ").replace(" and ", " , ")
    for word, power in (("million", "*10^6"), ("billion", "*10^9"), ("trillion", "*10^12")):
        text = text.replace(word, power)
    for unit in (*_UNITS, "liter"):
        text = re.sub(rf"{unit}(es)?(s)? *(\^[0-9]+)?", "", text)
    text = re.sub(r"\^ *\\circ", "", text)
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = re.sub(r",\\! *", "", text)
    with contextlib.suppress(ValueError, OverflowError):
        text = str(round(float(text))) if abs(float(text) - round(float(text))) <= 1e-7 else text
    if "\\" in text:
        with contextlib.suppress(Exception):  # whatever pylatexenc makes of a broken formula: the text stays
            text = _plain(text)
    text = re.sub(r"([0-9]) +([0-9])", r"\1+\2", re.sub("- *", "-", text)).lower()
    return str(int(float(text.replace(",", "")))) if _is_integer(text) else text


def _plain(latex: str) -> str:
    """LaTeX as the plain text of a formula."""
    latex = latex.replace("\\tfrac", "\\frac").replace("\\dfrac", "\\frac").replace("\\frac", " \\frac")
    text = LatexNodes2Text().latex_to_text(latex)
    for sign, name in (("√", "sqrt"), ("π", "pi"), ("∞", "inf"), ("∪", "U"), ("·", "*"), ("×", "*")):
        text = text.replace(sign, name)
    return text.strip()


def _without_grouping(text: str) -> str:
    """1,234,567 as 1234567; commas of tuples stay."""
    while (new := re.sub(r"(\d),(\d\d\d)($|\D)", r"\1\2\3", text)) != text:
        text = new
    return text


def _is_integer(text: str) -> bool:
    try:
        value = float(_without_grouping(text))
        return abs(value - round(value)) <= 1e-7
    except (ValueError, OverflowError):
        return False


def _elements(form: str) -> list[str]:
    """The elements of a tuple or an interval; of anything else, itself."""
    form = _without_grouping(form)
    if len(form) > 2 and form[0] in "()[]" and form[-1] in "()[]" and not set(form[1:-1]) & set("()[]"):
        return [element.strip() for element in form[1:-1].split(",")]
    return [form] if form else []


def _prm800k_equal(gold: str, answer: str) -> bool:
    gold, answer = prm800k_form(gold), prm800k_form(answer)
    if gold == answer:
        return True
    if not answer:
        return False
    golds, answers = _elements(gold), _elements(answer)
    if len(golds) > 1 and (gold[0], gold[-1]) != (answer[0], answer[-1]):
        return False
    return len(golds) == len(answers) and all(map(_element_equal, golds, answers))


def _element_equal(gold: str, answer: str) -> bool:
    """Two fractions must be the same text, and an integer is only equal to an integer; else sympy decides."""
    fraction = re.compile(r"^-?[0-9]+.?/0*[1-9][0-9]*.?$")
    if fraction.search(gold) and fraction.search(answer):
        return gold == answer
    if _is_integer(gold) != _is_integer(answer):
        return False
    difference = f"({gold})-({answer})"
    letters = {letter for letter in difference.replace("sqrt", "").replace("frac", "") if letter.isalpha()}
    if len(letters) > 2 or re.search(r"\^[{(]|\^[0-9]+\^|\^[0-9][0-9]+", difference):
        return False
    try:
        return sympy.simplify(formula.exact(formula.read(gold) - formula.read(answer))) == 0
    except Exception:  # noqa: BLE001  no formula, or sympy raises whatever it likes; V1 calls that wrong
        return False
