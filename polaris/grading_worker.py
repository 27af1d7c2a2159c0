"""One killable grading process: `python -m polaris.grading_worker`, driven by polaris/grading_pool.py.

A line of JSON in, a line of JSON out, `ready` before all; "timeout" is in seconds:
  {"grader": "math_verify", "golds": [...], "answer": "...", "timeout": 5}   the reason, as of polaris/answers.py
  {"key": "...", "timeout": 5}      the text's key: equal for texts that are read as the same expression
The process kills itself a second after an answer's deadline and ends with its parent, so that nothing of it can stay.
"""

import json
import logging
import os
import resource
import select
import signal
from collections.abc import Iterator
from typing import Any

MEMORY = 2 << 30  # bytes of address space: an answer that wants more is a crash, not a swapping machine
FULL = (
    MEMORY * 3 // 4
)  # resident bytes; above it math-verify may have met a MemoryError, and have called it "different"
GRACE = 1.0  # seconds after the deadline, when the parent should long have killed this process
LOOK = 5.0  # seconds between looks at whether the parent lives


def requests(parent: int) -> Iterator[dict[str, Any]]:
    """Lines of stdin, until it ends or the parent is gone (a forked sister could hold the pipe open)."""
    text = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], LOOK)[0]:
            continue
        chunk = os.read(0, 1 << 16)
        if not chunk:
            return
        text += chunk
        while b"\n" in text:
            line, _, text = text.partition(b"\n")
            yield json.loads(line)


def verdict(golds: list[str], answer: str) -> str:
    """equivalent, different or unparseable_gold: the gold answers are asked in their order."""
    from polaris.answers import DIFFERENT, EQUIVALENT, UNPARSEABLE_GOLD
    from polaris.math_verify_equal import equal, read, readable

    answer_read, parseable = read(answer), False
    for gold in golds:
        gold_read = read(gold)
        parseable = parseable or readable(gold_read)
        if equal(gold, answer, gold_read, answer_read):
            return EQUIVALENT
    return DIFFERENT if parseable else UNPARSEABLE_GOLD


def deepscaler_verdict(golds: list[str], answer: str) -> str:
    from polaris.answers import DIFFERENT, EQUIVALENT
    from polaris.deepscaler_equal import equal

    return EQUIVALENT if any(equal(gold, answer) for gold in golds) else DIFFERENT


VERDICTS = {"math_verify": verdict, "deepscaler": deepscaler_verdict}


def key(text: str) -> str:
    """The parsed expression, unevaluated, as a text; the text itself where it cannot be read."""
    from polaris.math_verify_equal import read, written

    found = read(text)
    return written(found) or text


def main() -> None:
    os.environ["SYMPY_GROUND_TYPES"] = "python"  # with gmpy2 a huge factorial aborts the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel ends this process, whatever it is computing
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = os.getppid()
    logging.disable(logging.CRITICAL)
    verdict(["2"], "1+1")  # imports what every answer needs
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    print("ready", file=answers, flush=True)
    for request in requests(parent):
        signal.setitimer(signal.ITIMER_REAL, request["timeout"] + GRACE)
        reply = (
            key(request["key"])
            if "key" in request
            else VERDICTS[request["grader"]](request["golds"], request["answer"])
        )
        signal.setitimer(signal.ITIMER_REAL, 0)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > FULL:
            os._exit(1)
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
