"""Any text of a model: boxes, reading, keys, and the decision without real numbers, within their time."""

import time

from polaris.grading.boxes import boxed_answer
from polaris.grading.compare import compare
from polaris.grading.equality.structure import key
from polaris.grading.reading.expressions import OPERAND_COMMANDS
from polaris.grading.reading.reader import is_read, readings
from polaris.grading.reading.tokens import ALIASES, FONTS, SIGNS
from tests.helpers.answer_kinds import DIFFERENT, EQUAL

WORDS = (*(f"\\{name}" for name in (*OPERAND_COMMANDS, *ALIASES, *FONTS, *SIGNS) if name.isalpha()),
         r"\boxed{", r"\left(", r"\right)", r"\{", r"\}", r"\begin{pmatrix}", r"\end{pmatrix}", r"\text{ and }",
         " or ", "1,234", "^{", "_{", r"\%", r"\$", "cm", "p.m.", "million", "The answer is ", r"\pmod", "½", "√",
         "²", "−")  # fmt: skip
SEEDS = tuple(text for pair in EQUAL[::3] + DIFFERENT[::3] for text in pair)
SECONDS = 0.5  # of processor time for one text


def one(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    started = time.process_time()
    answer = boxed_answer(text, bare=True)
    if not answer:
        return
    assert readings(answer) and key(answer)
    assert compare(answer, [answer]) in ("exact", "equivalent", None), (answer, compare(answer, [answer]))
    if not is_read(answer):
        assert compare("7", [answer]) != "exact", answer
    seconds = time.process_time() - started
    assert seconds < SECONDS, (seconds, text)
