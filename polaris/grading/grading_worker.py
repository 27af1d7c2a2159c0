"""One killable grading process: `python -m polaris.grading.grading_worker`, driven by polaris/grading/grading_pool.py.

A line of JSON in, a line of JSON out, `ready` before all; "timeout" is in seconds:
  {"grader": "polaris", "golds": [...], "answer": "...", "timeout": 5}   the reason, as of answers.py
Each question is answered by a child of its own, forked from this process, which reads no formula of a question itself.
So nothing that an answer does to its process reaches another's verdict. The child is confined (sandbox.py) and
bounded in memory; it is killed at the deadline, kills itself a second later, and ends with its parent.
"""

import gc
import json
import logging
import os
import resource
import select
import signal
import time
from collections.abc import Iterator
from typing import Any

MEMORY = 2 << 30  # bytes of address space: an answer that wants more is a crash, not a swapping machine
FULL = MEMORY * 3 // 4  # resident bytes; above it SymPy may have met a MemoryError, and have called it "different"
LONGEST = 64 << 20  # bytes of a reply
GRACE = 1.0  # seconds after the deadline, when the parent should long have killed this process
LOOK = 5.0  # seconds between looks at whether the parent lives

# What the children are forked with: constants at full precision, and the modules that SymPy loads when it needs them.
WARM_UP = (
    (r"2\sqrt{3}+\sqrt[3]{5}", r"\sqrt{12}-5^{1/3}"),
    (r"\sin^2 x+\cos(2x)", r"1-\sin^{2}{x}"),
    (r"e^{i\pi/3}", r"\frac{1+i\sqrt{3}}{2}"),
    (r"\log_2 8+\ln 3", r"\arctan 2+\sinh 1"),
    (r"\binom{2n}{n}", r"\frac{(2n)!}{(n!)^2}"),
    (r"x^2<4", r"(-2,2)"),
    (r"x^3-x>1", r"(1,\infty)"),
    (r"|x-1|\le\frac{1}{x}", r"[-2,2]"),
    (r"\lim_{n\to\infty}\frac{1}{n}", r"\int_0^1 x\,dx"),
)


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
    from polaris.grading.answers import DIFFERENT, EQUIVALENT, UNPARSEABLE_GOLD
    from polaris.grading.equality import reals
    from polaris.grading.equality.acceptance import equal_texts
    from polaris.grading.reading.reader import is_read

    if any(equal_texts(gold, answer, reals) for gold in golds):
        return EQUIVALENT
    return DIFFERENT if any(map(is_read, golds)) else UNPARSEABLE_GOLD


def deepscaler_verdict(golds: list[str], answer: str) -> str:
    from polaris.grading.answers import DIFFERENT, EQUIVALENT
    from polaris.grading.deepscaler_equal import equal

    return EQUIVALENT if any(equal(gold, answer) for gold in golds) else DIFFERENT


VERDICTS = {"polaris": verdict, "deepscaler": deepscaler_verdict}


def reply(request: dict[str, Any]) -> str:
    return VERDICTS[request["grader"]](request["golds"], request["answer"])


def child_process(request: dict[str, Any], parent: int, pipe: int) -> None:
    """Write the reply into the pipe, confined, and end: with status 0 only where the reply is whole."""
    from polaris.grading import sandbox

    signal.setitimer(signal.ITIMER_REAL, request["timeout"] + GRACE)
    sandbox.die_with(parent)
    sandbox.confine()
    text = json.dumps(reply(request)).encode()
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > FULL:
        return
    while text:
        text = text[os.write(pipe, text) :]
    os._exit(0)


def answered(request: dict[str, Any], others: list[int]) -> str:
    """A child's reply as JSON, its deadline's or its death's name. others: descriptors that the child must not have."""
    from polaris.grading.answers import CRASHED, TIMEOUT

    parent, deadline = os.getpid(), time.monotonic() + request["timeout"]
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for descriptor in (*others, ours):
                os.close(descriptor)
            child_process(request, parent, theirs)
        finally:
            os._exit(1)
    os.close(theirs)
    text, ended = b"", False
    while not ended and select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(ours, 1 << 16)
        text += chunk
        ended = not chunk or len(text) > LONGEST
    if not ended or len(text) > LONGEST:
        os.kill(child, signal.SIGKILL)
    os.close(ours)
    _, status = os.waitpid(child, 0)
    if ended:
        return text.decode() if status == 0 else json.dumps(CRASHED)
    return json.dumps(TIMEOUT)


def prepare() -> None:
    """Import and warm up what the children need: they are forked with it, and can load no more than files."""
    # sympy loads this late, and it makes dataclasses, which are compiled texts
    import sympy.integrals.manualintegrate  # noqa: F401

    for gold, answer in WARM_UP:
        verdict([gold], answer)
        deepscaler_verdict([gold], answer)
    from polaris.grading import sandbox

    sandbox.check()
    gc.collect()
    gc.freeze()  # else a child's collector would copy every page


def main() -> None:
    os.environ["SYMPY_GROUND_TYPES"] = "python"  # with gmpy2 a huge factorial aborts the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the kernel ends this process, whatever it is computing
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = os.getppid()
    logging.disable(logging.CRITICAL)
    prepare()
    answers = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.write(answers, b"ready\n")
    for request in requests(parent):
        line = answered(request, [0, answers]).encode() + b"\n"
        while line:
            line = line[os.write(answers, line) :]


if __name__ == "__main__":
    main()
