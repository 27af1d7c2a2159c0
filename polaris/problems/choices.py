r"""Whether a problem offers choices, of which the answer is one: `(A) 3 (B) 4`, `A. 3`, `A: 3`, `（A）3`, `(1) 3`.

Four letters in order are choices. Fewer, and numbers, are so only where a question stands before and none after them
and the gold answer is one of the marks or of what follows them: points and conditions have letters and numbers, too.
"""

import re
from collections.abc import Sequence

SHOWN = 80  # characters of the choices that are given as evidence
FEW, MANY = 3, 4  # letters that are choices where the gold answer is a letter, and anywhere

# Full-width signs, one for one, so that places stay.
_WIDE = str.maketrans("（）．：？ＡＢＣＤＥ１２３４５", "().:?ABCDE12345")
_DRAWING = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)", re.DOTALL)
_CODE = re.compile(r'("[^"]*")|[^"\n]+')  # of a drawing, with its labels, which alone are text
_IN_BRACKETS = re.compile(r"\(([A-E])\)")
_SMALL = re.compile(r"\(([a-e])\)")
_NUMBER = re.compile(r"\(([1-5])\)")
_BEFORE_POINT = re.compile(r"(?<![\w\\({])([A-E]) ?[.):、]")
_LISTED = re.compile(r"^[^\S\n]*([A-E]) ?[.):、]", re.MULTILINE)
_ASKS = re.compile(
    r"\?|_{2}|\((?:\\quad|\s)*\)|下列|以下|哪|多少|求|"
    r"\b(?:find|determine|compute|calculate|evaluate|solve|what|which|choose|how (?:many|much))\b",
    re.IGNORECASE,
)
_WHICH = re.compile(r"\b(?:which|choose)\b|下列|以下|哪", re.IGNORECASE)
_DRESS = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*(?=\{)|[\s${}.,;、。；]")
_LETTER = re.compile(r"\(?([A-Ea-e])\)?")
_NAMED = re.compile(r"\s*([A-E])[.):、]\s*\S")  # the gold answer `C. 12`


def multiple_choice(text: str, golds: Sequence[str]) -> str | None:
    """The choices as they stand in the text; None where there are none. Linear in its length."""
    plain = _DRAWING.sub(_labels_only, text.translate(_WIDE))
    answers = {_DRESS.sub("", gold.translate(_WIDE)) for gold in golds}
    letters = {match[1] for gold in answers if (match := _LETTER.fullmatch(gold))}
    letters |= {match[1] for gold in golds if (match := _NAMED.match(gold))}
    needed = FEW if letters else MANY
    for form, question_before in ((_IN_BRACKETS, False), (_SMALL, False), (_LISTED, False), (_BEFORE_POINT, True)):
        marks = _in_order(form, plain)
        if form is _SMALL and not letters:
            continue
        if len(marks) >= needed and not (question_before and _ASKS.search(plain, marks[-1].end())):
            return _shown(text, marks)
    for form in (_IN_BRACKETS, _BEFORE_POINT, _NUMBER):
        marks = _in_order(form, plain, last=True)
        if len(marks) > 1 and _is_one_of(marks, plain, answers | letters, numbers=form is _NUMBER):
            return _shown(text, marks)
    return None


def _labels_only(drawing: re.Match[str]) -> str:
    return _CODE.sub(lambda part: part[1] or " " * len(part[0]), drawing[0])


def _in_order(form: re.Pattern[str], text: str, last: bool = False) -> list[re.Match[str]]:
    """Marks A, B, C … in this order, from the first A on, or from the last one."""
    marks: list[re.Match[str]] = []
    for mark in form.finditer(text):
        if last and mark[1] in "Aa1":
            marks = [mark]
        elif mark[1] == (chr(ord(marks[-1][1]) + 1) if marks else mark[1] if mark[1] in "Aa1" else None):
            marks.append(mark)
    return marks


def _is_one_of(marks: list[re.Match[str]], text: str, answers: set[str], numbers: bool) -> bool:
    """Whether these few marks are choices: a question before, none after, and the answer is one of them."""
    if not _ASKS.search(text, 0, marks[0].start()) or _ASKS.search(text, marks[-1].end()):
        return False
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    contents = {_DRESS.sub("", text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)} - {""}
    named = {mark[0] for mark in marks}
    if not numbers or (len(marks) >= FEW and _WHICH.search(text, 0, marks[0].start())):
        named |= {mark[1] for mark in marks}
    return not answers.isdisjoint(contents | named)


def _shown(text: str, marks: list[re.Match[str]]) -> str:
    return text[marks[0].start() : marks[0].start() + SHOWN].strip()
