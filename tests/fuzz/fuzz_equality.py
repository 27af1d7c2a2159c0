"""Two texts, parted by a NUL: equality is symmetric and takes its time, also with real numbers. SymPy is left out."""

import time

from polaris.grading.equality import reals
from polaris.grading.equality.acceptance import equal_texts
from polaris.grading.equality.exact import Effort, TooLarge
from polaris.grading.equality.sameness import Sameness
from polaris.grading.reading.reader import readings
from tests.fuzz.fuzz_reader import WORDS
from tests.helpers.answer_kinds import DIFFERENT, EQUAL

__all__ = ["SEEDS", "WORDS", "one"]
SEEDS = tuple(f"{gold}\0{answer}" for gold, answer in EQUAL + DIFFERENT)
SLOW = ("\\int", "\\lim", "<", ">", "\\le", "\\ge", "\\ne")  # SymPy's, which needs a process that can be killed
SECONDS = 3.0


def one(data: bytes) -> None:
    gold, _, answer = data.decode(errors="surrogateescape").partition("\0")
    if any(sign in gold + answer for sign in SLOW):
        return
    started = time.process_time()
    equal_texts(gold, answer, reals)
    assert equal_texts(answer, answer, reals), answer
    first, second = readings(gold)[0], readings(answer)[0]
    try:
        forth, back = (Sameness(Effort(reals)).same(*pair) for pair in ((first, second), (second, first)))
    except TooLarge:
        return
    assert forth == back, (gold, answer)
    seconds = time.process_time() - started
    assert seconds < SECONDS, (seconds, gold, answer)
